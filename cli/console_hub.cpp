#include "cli/console_hub.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cli/unix_socket.h"

namespace stasis::cli {

using base::Fd;

ConsoleHub::ConsoleHub(std::string socket_path, std::unique_ptr<devices::EventLoop> loop,
                       std::unique_ptr<RotatingLog> log)
    : socket_path_(std::move(socket_path)),
      loop_(std::move(loop)),
      log_(std::move(log)),
      room_(*loop_, [this] {
        for (const auto& viewer : viewers_) deliver(*viewer);
      }) {
  relay_.set_input_gate(this);
}

base::Result<std::unique_ptr<ConsoleHub>> ConsoleHub::open(const snapshot::VmDirectory& directory,
                                                           const vmm::ConsoleConfig& config) {
  auto loop = TRY(devices::EventLoop::create("console"));
  auto log = TRY(RotatingLog::append_to(directory.console_log_path()));
  std::unique_ptr<ConsoleHub> hub(
      new ConsoleHub(directory.console_socket_path(), std::move(loop), std::move(log)));
  if (config.kind == vmm::ConsoleConfig::Kind::kFile) {
    hub->file_ = TRY(devices::BufferedOutput::append_to(*hub->loop_, config.file));
  }
  hub->loop_->start();
  return hub;
}

ConsoleHub::~ConsoleHub() {
  remove_front();
  relay_.set_input_gate(nullptr);
  if (listener_.is_open()) ::unlink(socket_path_.c_str());
  loop_->run_sync([this] {
    if (listener_.is_open()) loop_->unwatch(listener_.get());
    end_viewers();  // here, too: what the loop watches is its thread's alone
  });
}

void ConsoleHub::set_on(bool is_on) {
  loop_->run_sync([&] {
    is_on_ = is_on;
    if (!is_on) end_viewers();
  });
}

void ConsoleHub::end_viewers() {
  while (!viewers_.empty()) drop(*viewers_.back());
}

void ConsoleHub::write(std::span<const std::uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  log_->write(bytes);
  if (file_) file_->write(bytes);
  if (front_ != nullptr) front_->write(bytes);
  for (const auto& viewer : viewers_) viewer->output->write(bytes);
  replay_.insert(replay_.end(), bytes.begin(), bytes.end());
  if (replay_.size() < 2 * kReplay) return;  // trimmed now and then: a byte is moved once
  replay_.erase(replay_.begin(), replay_.end() - static_cast<std::ptrdiff_t>(kReplay));
}

void ConsoleHub::add_front(HostConsole& front) {
  front_console_ = &front;
  front.input().attach(front_input_);
  const std::lock_guard lock(mutex_);
  front_ = &front.output();
}

void ConsoleHub::remove_front() {
  if (front_console_ != nullptr) front_console_->input().detach();
  front_console_ = nullptr;
  const std::lock_guard lock(mutex_);
  front_ = nullptr;
}

base::Status ConsoleHub::listen() {
  listener_ = TRY(listen_at(socket_path_));
  loop_->run_sync([this] { loop_->watch(listener_.get(), POLLIN, [this] { accept_viewer(); }); });
  return {};
}

void ConsoleHub::room_again() {
  devices::InputGate* const front = front_gate_;
  if (front != nullptr) front->room_again();
  room_.request();
}

void ConsoleHub::accept_viewer() {
  Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.is_open()) return;
  if (viewers_.size() >= kMaxViewers) drop_gone_viewers();
  if (viewers_.size() >= kMaxViewers || !is_peer_trusted(connection)) return;
  add_viewer(std::move(connection));
  if (!is_on_) end_viewers();
}

/// One that typed what the guest does not take is not read from, so that its end goes unseen.
void ConsoleHub::drop_gone_viewers() {
  for (std::size_t i = viewers_.size(); i-- > 0;) {
    pollfd state{viewers_[i]->connection.get(), 0, 0};
    if (::poll(&state, 1, 0) == 1) drop(*viewers_[i]);
  }
}

void ConsoleHub::add_viewer(Fd connection) {
  // a descriptor of its own for each direction: the loop watches one event at each
  Fd out(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  if (!out.is_open()) return;
  auto viewer = std::make_unique<Viewer>();
  viewer->connection = std::move(connection);
  viewer->output = std::make_unique<devices::BufferedOutput>(*loop_, std::move(out), "");
  const std::lock_guard lock(mutex_);
  viewer->output->write(std::span(replay_).last(std::min(replay_.size(), kReplay)));
  viewers_.push_back(std::move(viewer));
  watch(*viewers_.back());
}

void ConsoleHub::watch(Viewer& viewer) {
  loop_->watch(viewer.connection.get(), POLLIN, [this, &viewer] { read_from(viewer); });
}

void ConsoleHub::read_from(Viewer& viewer) {
  std::array<std::uint8_t, 1024> typed;
  const ssize_t count = ::read(viewer.connection.get(), typed.data(), typed.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return drop(viewer);
  viewer.undelivered.assign(typed.begin(), typed.begin() + count);
  loop_->unwatch(viewer.connection.get());  // no more before the guest has taken these
  deliver(viewer);
}

void ConsoleHub::deliver(Viewer& viewer) {
  if (viewer.undelivered.empty()) return;
  const std::size_t taken = relay_.receive(viewer.undelivered);
  viewer.undelivered.erase(viewer.undelivered.begin(),
                           viewer.undelivered.begin() + static_cast<std::ptrdiff_t>(taken));
  if (viewer.undelivered.empty()) watch(viewer);
}

void ConsoleHub::drop(Viewer& viewer) {
  loop_->unwatch(viewer.connection.get());
  std::unique_ptr<Viewer> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(viewers_.begin(), viewers_.end(),
                                    [&](const auto& one) { return one.get() == &viewer; });
    gone = std::move(*found);
    viewers_.erase(found);
  }
}

}  // namespace stasis::cli
