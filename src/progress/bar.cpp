#include "progress/bar.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "os/clock.hpp"
#include "os/fork.hpp"
#include "progress/meter.hpp"
#include "progress/text.hpp"

namespace brood::bars {
namespace {

constexpr double kShowsAtOnce = 10;

std::int64_t to_ns(std::chrono::duration<double> duration) noexcept {
  const double ns = duration.count() * 1e9;
  if (!(ns > 0)) return 0;
  return ns >= 9e18 ? INT64_MAX : static_cast<std::int64_t>(ns);
}

std::int64_t add_ns(std::int64_t a, std::int64_t b) noexcept { return b > INT64_MAX - a ? INT64_MAX : a + b; }

[[noreturn]] void refuse(const std::string& why) { throw std::invalid_argument("brood::ProgressOptions: " + why); }

// What can be wrong with an option is said before anything is drawn.
ProgressOptions&& checked(ProgressOptions&& options) {
  if (options.position && *options.position < 0) {
    refuse("position " + std::to_string(*options.position) + " is negative; rows are counted from 0");
  }
  if (options.ncols && *options.ncols < 0) refuse("ncols " + std::to_string(*options.ncols) + " is negative");
  if (!(options.smoothing >= 0 && options.smoothing <= 1)) {
    refuse("smoothing " + std::to_string(options.smoothing) + " is not between 0 and 1");
  }
  if (options.unit_divisor < 2) refuse("unit_divisor must be at least 2");
  if (!(options.mininterval.count() >= 0)) refuse("mininterval is negative");
  if (!(options.delay.count() >= 0)) refuse("delay is negative");
  for (std::string* text : {&options.desc, &options.postfix, &options.unit}) {
    *text = single_line(*text, Colours::keep);
  }
  return std::move(options);
}

template <class Parse>
auto named(Parse&& parse) {
  try {
    return parse();
  } catch (const std::invalid_argument& error) {
    refuse(error.what());
  }
}

}  // namespace

Room room_on(int fd) noexcept {
  os::TerminalSize size = os::terminal_size(fd);
  // A terminal that nobody told its size, such as a fresh pseudo terminal.
  if (size.columns == 0) size.columns = 80;
  if (size.rows == 0) size.rows = 24;
  return {std::max(size.columns - 1, 1), std::max(size.rows - 1, 1)};
}

Bar::Bar(ProgressOptions&& from) : Bar(checked(std::move(from)), os::now_ns()) {}

Bar::Bar(ProgressOptions&& from, std::int64_t now_ns)
    : generation(os::fork_generation()),
      fd(from.fd),
      on_terminal(!from.disable && os::is_terminal(from.fd)),
      mininterval_ns(to_ns(from.mininterval)),
      pace({.mininterval_ns = mininterval_ns, .miniters = from.miniters, .lines = !on_terminal}, from.initial, now_ns,
           add_ns(now_ns, to_ns(from.delay))),
      options(std::move(from)),
      layout_(named([&] { return Layout::parse(options.bar_format); })),
      colour_(
          named([&] { return on_terminal ? colour_sequence(options.colour) : (colour_sequence(options.colour), ""); })),
      charset_(options.fill.empty() ? std::nullopt
                                    : std::optional(named([&] { return Charset::custom(options.fill); }))),
      ascii_(options.ascii ? *options.ascii : !locale_is_utf8()),
      first_columns_(on_terminal ? room_on(fd).columns : 0),
      start_ns_(now_ns),
      sampled_ns_(now_ns),
      sampled_n_(options.initial),
      speed_(options.smoothing),
      shows_left_(kShowsAtOnce),
      shown_ns_(now_ns) {
  counter.n.store(options.initial, std::memory_order_relaxed);
  counter.total.store(options.total.value_or(detail::ProgressCounter::kUnknown), std::memory_order_relaxed);
  if (options.disable) pace.stop(counter);
}

bool Bar::inherited() const noexcept { return generation != os::fork_generation(); }

std::optional<std::uint64_t> Bar::total() const noexcept {
  const std::uint64_t total = counter.total.load(std::memory_order_relaxed);
  return total == detail::ProgressCounter::kUnknown ? std::nullopt : std::optional(total);
}

std::string Bar::line(std::int64_t now_ns, std::optional<int> columns, std::optional<int> rows) {
  const std::uint64_t n = counter.count();
  sample(n, now_ns);
  pace.drawn(counter, n, now_ns);
  return text(n, now_ns, columns, rows, speed_.per_second());
}

std::string Bar::last_line(std::int64_t now_ns, std::optional<int> columns, std::optional<int> rows) {
  return text(counter.count(), now_ns, columns, rows, std::nullopt);
}

void Bar::sample(std::uint64_t n, std::int64_t now_ns) noexcept {
  // Drawings out of turn would make intervals that are too short to say much.
  const std::int64_t took_ns = now_ns - sampled_ns_;
  if (options.smoothing == 0 || n <= sampled_n_ || took_ns <= 0 || took_ns < mininterval_ns) return;
  speed_.add(static_cast<double>(n - sampled_n_), static_cast<double>(took_ns) / 1e9);
  sampled_n_ = n;
  sampled_ns_ = now_ns;
}

std::string Bar::text(std::uint64_t n, std::int64_t now_ns, std::optional<int> columns, std::optional<int> rows,
                      std::optional<double> rate) const {
  Meter meter;
  meter.n = n;
  meter.total = total();
  meter.initial = options.initial;
  meter.elapsed_s = static_cast<double>(now_ns - start_ns_) / 1e9;
  meter.rate = rate;
  meter.desc = options.desc;
  meter.postfix = options.postfix;
  meter.unit = options.unit;
  meter.unit_scale = options.unit_scale;
  meter.unit_divisor = options.unit_divisor;
  meter.nrows = rows;
  meter.charset = charset_ ? &*charset_ : ascii_ ? &Charset::ascii() : &Charset::blocks();
  meter.colour = colour_;
  meter.colour_name = options.colour;
  meter.ncols = options.ncols;
  if (columns) {
    const int wanted = options.ncols.value_or(options.dynamic_ncols ? *columns : first_columns_);
    meter.ncols = std::min(wanted, *columns);
  }
  std::string line = format_meter(meter, layout_);
  return columns ? cut_to_width(line, *columns) : single_line(line, Colours::remove);
}

bool Bar::may_show_text(std::int64_t now_ns) noexcept {
  if (mininterval_ns > 0) {
    shows_left_ += static_cast<double>(now_ns - shown_ns_) / static_cast<double>(mininterval_ns);
    shows_left_ = std::min(shows_left_, kShowsAtOnce);
  }
  shown_ns_ = now_ns;
  if (mininterval_ns > 0 && shows_left_ < 1) return pace.time_is_up(now_ns);
  shows_left_ -= 1;
  return true;
}

void Bar::restart(std::int64_t now_ns) noexcept {
  start_ns_ = sampled_ns_ = now_ns;
  sampled_n_ = 0;
  options.initial = 0;
  speed_ = Speed(options.smoothing);
}

}  // namespace brood::bars
