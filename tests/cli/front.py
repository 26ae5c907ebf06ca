"""A verb in the foreground, on a terminal of its own or on a pipe."""

import os
import pty
import select
import subprocess
import termios
import time

DEADLINE = 20
LOCAL_FLAGS = 3  # place in what tcgetattr returns


class Wrong(Exception):
    """What was seen is not what should be."""


def demand(condition: bool, text: str) -> None:
    if not condition:
        raise Wrong(text)


class Front:
    """Keeps what the verb has written. On a terminal, standard input and output are one."""

    def __init__(self, command: list[str], env: dict[str, str], on_terminal: bool):
        self.seen = self.talk = ""
        self.terminal = -1
        if on_terminal:
            self.master, self.terminal = pty.openpty()
            self.before = termios.tcgetattr(self.terminal)
            ends = {"stdin": self.terminal, "stdout": self.terminal}
            # a session of its own, whose terminal this is
            command = ["setsid", "--ctty", *command]
        else:
            self.master, write_end = os.pipe()
            ends = {"stdin": subprocess.DEVNULL, "stdout": write_end}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env, **ends)
        if not on_terminal:
            os.close(write_end)

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + DEADLINE
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, until - time.monotonic()))
            chunk = os.read(self.master, 65536) if ready else b""
            if not chunk:
                self.process.kill()
                raise Wrong(f'"{text}" did not come, only "{self.seen}"; said: {self.process.communicate()[1]}')
            self.seen += chunk.decode("latin-1")

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.terminal)[LOCAL_FLAGS] & (termios.ICANON | termios.ISIG)

    def demand_end(self, status: int, sentence: str) -> None:
        """Ends with `status`, has said `sentence`, and has left the terminal as it was."""
        try:
            _, self.talk = self.process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            raise Wrong("still running") from None
        demand(self.process.returncode == status,
               f"exit code {self.process.returncode}, wanted {status}; said: {self.talk}")
        demand(sentence in self.talk, f'"{sentence}" was not said, but "{self.talk}"')
        if self.terminal >= 0:
            demand(termios.tcgetattr(self.terminal) == self.before, "the terminal is not as before")

    def demand_last_line(self, status: int, sentence: str) -> None:
        """As `demand_end`; `sentence` is the whole of the last line."""
        self.demand_end(status, sentence)
        demand(self.talk.splitlines()[-1:] == [sentence], f'said "{self.talk}"')

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        os.close(self.master)
        if self.terminal >= 0:
            os.close(self.terminal)
