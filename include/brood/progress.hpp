// Progress bars with the look of tqdm, and the same meaning of their fields.
//
//   for (auto& file : brood::progress(files, {.desc = "hash", .unit = "file"})) hash(file);
//
//   brood::Progress bar({.total = bytes, .unit = "B", .unit_scale = true});
//   while (auto block = read()) bar.update(block.size());
//
// On a terminal the bars of a program share its last lines, one row each, and follow the terminal's width. Anywhere
// else (a file, a pipe) each bar writes a whole line now and then, without control codes: at its start, after every
// tenth of the total or every 10 s, and at its end; a bar with `.leave = false` only the ones of every 10 s.
//
// A bar never breaks the program: when the terminal or the disk behind it is stopped, gone or full, it is not drawn.
#pragma once

#include <brood/detail/durations.hpp>
#include <brood/detail/progress_counter.hpp>

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace brood {

namespace bars {
class Bar;
}
template <class R>
class ProgressRange;

struct ProgressOptions {
  // How many there will be. Unknown (or passed): the line has figures but no bar.
  std::optional<std::uint64_t> total{};
  // What stands before the bar.
  std::string desc{};
  std::string unit = "it";
  // Numbers with three digits and k, M, G ...: 1.23MB/s.
  bool unit_scale = false;
  // The row, 0 is the uppermost. Unset: the next free row, and rows move up when a bar above ends. A bar with a row of
  // its own keeps it until all bars have ended.
  std::optional<int> position{};
  // Whether the line stays when the bar ends.
  bool leave = true;
  // The line, as tqdm's bar_format: "{l_bar}{bar:30}{r_bar}{bar:-30b}". Fields: l_bar, bar, r_bar, desc, percentage, n,
  // n_fmt, total, total_fmt, elapsed, elapsed_s, remaining, remaining_s, eta, rate, rate_fmt, rate_noinv,
  // rate_noinv_fmt, rate_inv, rate_inv_fmt, postfix, unit, unit_divisor, ncols, nrows, colour. After a colon: Python's
  // format specification; for bar its width (negative: less than the room there is) and a, u or b (ASCII, blocks,
  // blank); for eta a strftime format. A number that is not known is "?".
  std::string bar_format{};
  // The least time between two drawings.
  std::chrono::duration<double> mininterval = std::chrono::milliseconds(100);

  // Where to draw. The descriptor must stay open until the bar is closed.
  int fd = 2;
  // The count to begin with; not part of the rate.
  std::uint64_t initial = 0;
  // Counts, but draws nothing.
  bool disable = false;
  // The width of the line; 0: figures without a bar. Never more than the terminal's.
  std::optional<int> ncols{};
  // Bars of "#" and digits instead of blocks. Unset: unless LC_ALL, LC_CTYPE or LANG names UTF-8.
  std::optional<bool> ascii{};
  // Weight of the latest interval in the rate, from 0 (the average over all) to 1 (the latest only).
  double smoothing = 0.3;
  // 1024 for binary prefixes; with unit_scale.
  unsigned unit_divisor = 1000;
  // The least count between two drawings.
  std::uint64_t miniters = 0;
  // black, red, green, yellow, blue, magenta, cyan, white or #rrggbb.
  std::string colour{};
  // What stands after the figures.
  std::string postfix{};
  // Whether the line follows the terminal when its width changes.
  bool dynamic_ncols = true;
  // The bar's own characters from empty to full, such as " >=".
  std::string fill{};
  // Nothing is drawn before so much time has passed, and nothing at all for a bar that ends before.
  std::chrono::duration<double> delay{0};
};

// "key=value" after the figures; numbers are written with three digits.
class ProgressItem {
 public:
  ProgressItem(std::string_view key, std::string_view value) : ProgressItem(key) { text_ += value; }
  ProgressItem(std::string_view key, const char* value) : ProgressItem(key, std::string_view(value)) {}
  template <class Number>
  requires std::is_arithmetic_v<Number> ProgressItem(std::string_view key, Number value) : ProgressItem(key) {
    if constexpr (std::is_same_v<Number, bool>) {
      text_ += value ? "true" : "false";
    } else if constexpr (std::is_floating_point_v<Number>) {
      append(static_cast<double>(value));
    } else if constexpr (std::is_signed_v<Number>) {
      append(static_cast<std::int64_t>(value));
    } else {
      append(static_cast<std::uint64_t>(value));
    }
  }

  const std::string& text() const noexcept { return text_; }

 private:
  explicit ProgressItem(std::string_view key) : text_(key) { text_ += '='; }
  void append(double value);
  void append(std::int64_t value);
  void append(std::uint64_t value);

  std::string text_;
};

// One bar, from its construction until close() or its destruction, also by an exception. It is drawn at its beginning
// and at its end, and in between by the calls that count, at most every `mininterval`.
//
// Blocking: update(), update_to() and tick() never wait for another thread; only the drawing itself takes the time
// write(2) takes, and it is left out while the terminal does not accept anything. The other calls wait for a drawing
// that another thread is at; write(), write_line() and close() also until the terminal accepts the line.
// Thread safety: all calls but move, and destruction when no other call is left. Counts are exact.
// Across fork: the child's copy counts for the child, draws nothing, and may be destroyed or abandoned; write() still
// writes its line. A bar that the child makes itself knows nothing of its parent's bars.
class Progress {
 public:
  // Throws std::invalid_argument that names the option and what is wrong with it.
  explicit Progress(ProgressOptions options = {});
  // The moved-from bar may be destroyed or assigned to, and counts nowhere.
  Progress(Progress&& other) noexcept;
  Progress& operator=(Progress&& other) noexcept;
  ~Progress();

  // `k` more are done. Some nanoseconds when nothing has to be drawn.
  void update(std::uint64_t k = 1) noexcept {
    const std::uint64_t n =
        counter_->n.fetch_add(k, std::memory_order_relaxed) + k + counter_->loop.load(std::memory_order_relaxed);
    if (n >= counter_->wake.load(std::memory_order_relaxed)) [[unlikely]]
      look(n);
  }
  // `n` are done altogether.
  void update_to(std::uint64_t n) noexcept;
  // Nothing more is done, but time goes on: for loops that wait.
  void tick() noexcept;

  std::uint64_t n() const noexcept { return counter_->count(); }
  std::optional<std::uint64_t> total() const noexcept;
  // Takes effect with the next drawing.
  void set_total(std::optional<std::uint64_t> total) noexcept;

  // Shown at once, unless called so often that drawing would take the time of the work: then with the next drawing.
  void set_description(std::string_view desc);
  void set_postfix(std::string_view postfix);
  // bar.set_postfix({{"loss", 0.25}, {"phase", "train"}}) shows "loss=0.25, phase=train".
  void set_postfix(std::initializer_list<ProgressItem> items);

  // Prints a whole line above the bars, torn by none of them. With `fd` to another place than the bar's, for example 1
  // when that may be a file: above the bars when it leads to their terminal too.
  void write(std::string_view line);
  void write(std::string_view line, int fd);
  // The same for code that has no bar at hand.
  static void write_line(std::string_view line, int fd = 2);

  // Draws now.
  void refresh() noexcept;
  // Begins anew at 0, with another total when one is given.
  void reset(std::optional<std::uint64_t> total = std::nullopt) noexcept;
  // Draws for the last time, or clears the line when it shall not stay, and leaves the cursor where the program may go
  // on printing. Later updates count, and are not drawn.
  void close() noexcept;

 private:
  template <class R>
  friend class ProgressRange;

  // update() for the one loop over the bar's range.
  void count_in_loop() noexcept {
    counter_->loop.store(counter_->loop.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    const std::uint64_t n = counter_->count();
    if (n >= counter_->wake.load(std::memory_order_relaxed)) [[unlikely]]
      look(n);
  }
  void look(std::uint64_t n) noexcept;
  void set_text(std::string ProgressOptions::*member, std::string_view text);

  detail::ProgressCounter* counter_;
  bars::Bar* bar_;
};

}  // namespace brood

#include <brood/detail/progress_range.hpp>
