#include "progress/display.hpp"

#include <algorithm>
#include <utility>

#include "progress/text.hpp"

namespace brood::bars {
namespace {

// How soon rows that the program printed over are whole again, when nothing of their own changes.
constexpr std::int64_t kThoroughEvery_ns = 250'000'000;

void append_line(std::string& lines, std::string_view line) {
  if (!lines.empty()) lines += '\n';
  lines += line;
}

}  // namespace

Display::Slot* Display::find(int row) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.row == row; });
  return slot == slots_.end() ? nullptr : &*slot;
}

int Display::free_row() const {
  int row = 0;
  for (const Slot& slot : slots_) {
    if (slot.row > row) break;
    row = slot.row + 1;
  }
  return row;
}

// A row for `bar`; what stood there and has ended goes to `above`.
int Display::take_row(const Bar& bar, std::string& above) {
  if (!bar.options.position) return free_row();
  const int row = *bar.options.position;
  Slot* const there = find(row);
  if (there == nullptr) return row;
  if (there->bar == nullptr) {
    append_line(above, there->text);
    slots_.erase(slots_.begin() + (there - slots_.data()));
    return row;
  }
  if (there->fixed) return free_row();  // two bars want the row: both can be seen
  Slot moved = std::move(*there);
  moved.row = free_row();
  slots_.erase(slots_.begin() + (there - slots_.data()));
  insert(std::move(moved));
  return row;
}

void Display::insert(Slot slot) {
  const auto at = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.row > slot.row; });
  slots_.insert(at, std::move(slot));
}

// Closes the gaps that ended bars have left, as far as bars may move.
void Display::move_up() {
  for (Slot& slot : slots_) {
    const int row = free_row();
    if (slot.fixed || row > slot.row) continue;
    slot.row = row;
    std::sort(slots_.begin(), slots_.end(), [](const Slot& a, const Slot& b) { return a.row < b.row; });
  }
}

void Display::add(Bar& bar, std::int64_t now_ns) {
  std::string above;
  const int row = take_row(bar, above);
  insert({row, bar.options.position.has_value(), &bar, {}});
  bar.display = this;
  fd_ = bar.fd;
  paint(&bar, above.empty() ? std::nullopt : std::optional<std::string_view>(above), Wait::no, now_ns);
}

void Display::draw(Bar& bar, std::int64_t now_ns) {
  fd_ = bar.fd;
  paint(&bar, std::nullopt, Wait::no, now_ns);
}

void Display::remove(Bar& bar, std::int64_t now_ns) {
  fd_ = bar.fd;
  bar.display = nullptr;
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.bar == &bar; });
  const Room room = room_on(fd_);
  slot->bar = nullptr;
  slot->text = bar.last_line(now_ns, room.columns, room.rows);
  const bool last = std::none_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.bar != nullptr; });
  std::string above;
  if (!bar.options.leave) {
    slots_.erase(slot);
  } else if (!last && !slot->fixed) {
    above = slot->text;
    slots_.erase(slot);
  }
  if (last) {
    for (const Slot& ended : slots_) append_line(above, cut_to_width(ended.text, room.columns));
    slots_.clear();
  } else if (Bar* const other = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.bar; })->bar) {
    fd_ = other->fd;
  }
  move_up();
  paint(nullptr, above.empty() ? std::nullopt : std::optional<std::string_view>(above), Wait::yes, now_ns);
}

void Display::print(std::string_view text, std::int64_t now_ns) { paint(nullptr, text, Wait::yes, now_ns); }

void Display::leave() { os::deliver(fd_, screen_.step_over(), true); }

std::vector<std::string> Display::visible_rows(Room room) const {
  std::vector<std::string> rows;
  for (const Slot& slot : slots_) {
    if (slot.row >= room.rows) {
      rows.resize(static_cast<std::size_t>(room.rows));
      rows.back() = cut_to_width(" ... (more hidden) ...", room.columns);
      break;
    }
    rows.resize(static_cast<std::size_t>(slot.row) + 1);
    rows.back() = cut_to_width(slot.text, room.columns);
  }
  return rows;
}

// Brings the texts up to date: of `bar`, of every bar whose time has come, and of all when the terminal has changed.
void Display::renew(const Bar* bar, Room room, std::int64_t now_ns) {
  const bool all = room.columns != columns_;
  columns_ = room.columns;
  for (Slot& slot : slots_) {
    if (slot.bar == nullptr || !(all || slot.bar == bar || slot.bar->pace.time_is_up(now_ns))) continue;
    slot.text = slot.bar->line(now_ns, room.columns, room.rows);
  }
}

void Display::paint(const Bar* bar, std::optional<std::string_view> above, Wait wait, std::int64_t now_ns) {
  const Room room = room_on(fd_);
  renew(bar, room, now_ns);
  const std::vector<std::string> rows = visible_rows(room);
  const bool thorough = above || now_ns - thorough_ns_ >= kThoroughEvery_ns;
  Screen next = screen_;
  const std::string bytes =
      above ? next.print_above(*above, rows, room.columns) : next.show(rows, room.columns, thorough);
  if (os::deliver(fd_, bytes, wait == Wait::no) == os::Delivery::skipped) return;
  screen_ = std::move(next);
  if (thorough) thorough_ns_ = now_ns;
}

}  // namespace brood::bars
