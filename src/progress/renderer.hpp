// Everything that the bars of this process write goes through here, one at a time.
//
// Thread safety: all. Across fork: the child gets a renderer of its own, without bars; it never touches the parent's,
// whose lock another thread may have held.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "progress/bar.hpp"
#include "progress/display.hpp"

namespace brood::bars {

class Renderer {
 public:
  // This process's. Never destroyed, because bars may be static objects.
  static Renderer& instance();

  // A bar that was made here; it is drawn, unless that shall wait.
  void open(Bar& bar);
  void close(Bar& bar);
  // Draws when no other thread is drawing.
  void try_draw(Bar& bar);
  void draw(Bar& bar);
  // Begins anew at the bar's present count, 0.
  void restart(Bar& bar);
  // Changes an option and shows it when that is not too often.
  void set_text(Bar& bar, std::string ProgressOptions::*member, std::string text);

  // A whole line, above the bars when `fd` leads to a terminal that has some.
  void print(std::string_view line, int fd);
  // The same in a child, for a terminal on which the parent may have bars: they come again below the line.
  static void print_over(std::string_view line, int fd);

  // Keeps a bar that belongs to the parent process, which must not be destroyed here: it may be half changed.
  static void abandon(Bar& bar) noexcept;

 private:
  Renderer();

  static void leave_at_exit() noexcept;
  void draw_locked(Bar& bar, std::int64_t now_ns);
  void print_line(Bar& bar, bool last, std::int64_t now_ns);
  Display& display_for(const Bar& bar);
  Display* find(int fd);

  const std::uint64_t generation_;
  Renderer* const parents_;  // keeps it reachable, for leak checkers

  std::mutex mutex_;  // guards all below, and the bars' fields that say so
  std::vector<std::unique_ptr<Display>> displays_;
};

}  // namespace brood::bars
