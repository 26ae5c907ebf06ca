#include "snapshot/present_book.h"

#include <utility>

#include "base/log.h"

namespace stasis::snapshot {

base::Result<PresentBook> PresentBook::open(const VmDirectory& directory) {
  return PresentBook(directory, TRY(directory.present()));
}

Present PresentBook::now() const {
  return directory_->settled(page_->with([](const Page& page) { return page.present; }));
}

base::Status PresentBook::note(const Present& next, const base::Status& written) {
  page_->with([&](Page& page) {
    page.is_in_file = written.has_value();
    if (written) page.present = next;
  });
  return written;
}

base::Status PresentBook::write(const Present& next) {
  return note(next, directory_->save_present(next));
}

base::Status PresentBook::prepare(const Present& next) const {
  return directory_->prepare_present(next);
}

base::Status PresentBook::write_prepared(const Present& next) {
  return note(next, directory_->save_prepared_present());
}

void PresentBook::hold(Present present) {
  page_->with([&](Page& page) {
    page.is_in_file = page.is_in_file && page.present == present;
    page.present = std::move(present);
  });
}

bool PresentBook::settle() {
  const auto [present, is_in_file] = page_->with([](const Page& page) { return page; });
  if (is_in_file) return true;
  const auto written = write(present);
  if (!written) base::log::warn("{}", written.error().message());
  return written.has_value();
}

}  // namespace stasis::snapshot
