// One bar: its options, its counter, and what its line says now.
//
// Thread safety: fields are grouped by who may touch them. Across fork: the child's copy may be in the middle of a
// change by a thread that the child does not have; only `counter`, `generation` and `fd` may be used there.
#pragma once

#include <brood/progress.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "os/terminal.hpp"
#include "progress/fill.hpp"
#include "progress/layout.hpp"
#include "progress/pace.hpp"
#include "progress/speed.hpp"

namespace brood::bars {

class Display;

class Bar {
 public:
  // Throws std::invalid_argument for options that make no sense.
  explicit Bar(ProgressOptions&& options);
  Bar(const Bar&) = delete;
  Bar& operator=(const Bar&) = delete;

  // Whether this is the copy of another process's bar.
  bool inherited() const noexcept;
  std::optional<std::uint64_t> total() const noexcept;

  // Below: under the renderer's lock.

  // What the line says. `columns`: the room on the terminal, none elsewhere.
  std::string line(std::int64_t now_ns, std::optional<int> columns, std::optional<int> rows);
  // The same for the last time: with the rate over all.
  std::string last_line(std::int64_t now_ns, std::optional<int> columns, std::optional<int> rows);
  // Whether a changed text shall be shown at once. Limits a storm of changes to one drawing per mininterval, after the
  // first few.
  bool may_show_text(std::int64_t now_ns) noexcept;
  void restart(std::int64_t now_ns) noexcept;

  // Constant.
  const std::uint64_t generation;
  const int fd;
  const bool on_terminal;
  const std::int64_t mininterval_ns;

  // Any thread.
  detail::ProgressCounter counter;
  Pace pace;

  // Under the renderer's lock.
  ProgressOptions options;     // total and initial are only what the bar began with
  bool open = false;           // between its construction and close(), when it is not disabled
  Display* display = nullptr;  // where it has a row, once it has been drawn on a terminal
  bool begun = false;          // its delay is over: elsewhere, the first line has been written
  std::string printed;         // the last line written elsewhere

  // Owned by whoever lets go of a bar in a child of fork: see Renderer::abandon().
  Bar* next_abandoned = nullptr;

 private:
  Bar(ProgressOptions&& options, std::int64_t now_ns);

  void sample(std::uint64_t n, std::int64_t now_ns) noexcept;
  std::string text(std::uint64_t n, std::int64_t now_ns, std::optional<int> columns, std::optional<int> rows,
                   std::optional<double> rate) const;

  const Layout layout_;
  const std::string colour_;
  const std::optional<Charset> charset_;  // of `fill`
  const bool ascii_;
  const int first_columns_;  // of the terminal when the bar was made
  std::int64_t start_ns_;
  std::int64_t sampled_ns_;
  std::uint64_t sampled_n_;
  Speed speed_;
  double shows_left_;
  std::int64_t shown_ns_;
};

// How much room a terminal has for bars: a column less than it has, so that nothing wraps.
struct Room {
  int columns;
  int rows;
};
Room room_on(int fd) noexcept;

}  // namespace brood::bars
