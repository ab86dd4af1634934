// The bars on one terminal: which row each has, and the lines of those that have ended.
//
// A bar without a row of its own takes the first free one and moves up when one above it becomes free; its last line
// goes above the bars. A bar with a row of its own keeps it after its end, until all have ended or another takes the
// row; then its last line goes above the bars too.
//
// Thread safety: none of its own, the renderer's lock guards it. Across fork: the child must not use its copy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/terminal.hpp"
#include "progress/bar.hpp"
#include "progress/screen.hpp"

namespace brood::bars {

class Display {
 public:
  Display(os::FileIdentity terminal, int fd) : terminal_(terminal), fd_(fd) {}
  Display(const Display&) = delete;
  Display& operator=(const Display&) = delete;

  bool is(os::FileIdentity terminal) const noexcept { return terminal_ == terminal; }
  // No bar is left, so nothing is shown.
  bool empty() const noexcept { return slots_.empty(); }

  void add(Bar& bar, std::int64_t now_ns);
  // Redraws `bar`, and with it the others that are due. Left out while the terminal accepts nothing.
  void draw(Bar& bar, std::int64_t now_ns);
  // Shows the bar's last line, or none.
  void remove(Bar& bar, std::int64_t now_ns);
  // Prints whole lines above the bars. `text` ends without a line feed.
  void print(std::string_view text, std::int64_t now_ns);
  // At the end of the program: leaves the rows where they are and the cursor below them.
  void leave();

 private:
  struct Slot {
    int row;
    bool fixed;  // a row of its own
    Bar* bar;    // none: it has ended
    std::string text;
  };

  Slot* find(int row);
  int free_row() const;
  int take_row(const Bar& bar, std::string& above);
  void insert(Slot slot);
  void move_up();
  std::vector<std::string> visible_rows(Room room) const;
  void renew(const Bar* bar, Room room, std::int64_t now_ns);
  // Whether a terminal that accepts nothing at the moment is waited for, or what it should show is left out.
  enum class Wait { no, yes };
  void paint(const Bar* bar, std::optional<std::string_view> above, Wait wait, std::int64_t now_ns);

  const os::FileIdentity terminal_;
  int fd_;                   // of a bar that is open, for there is one, or was when the last thing was drawn
  std::vector<Slot> slots_;  // by row
  Screen screen_;
  int columns_ = 0;
  std::int64_t thorough_ns_ = 0;
};

}  // namespace brood::bars
