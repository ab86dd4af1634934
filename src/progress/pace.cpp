#include "progress/pace.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

#include "os/clock.hpp"

namespace brood::bars {
namespace {

using detail::ProgressCounter;

// A look costs about 50 ns, so this one thousandth of the time; a loop that becomes a thousand times slower at once is
// seen to be so after 50 ms.
constexpr std::int64_t kLookEvery_ns = 50'000;
constexpr std::int64_t kLinesEvery_ns = 10'000'000'000;

// The count at which the next tenth of the total is reached. The last tenth is the closing line's.
std::uint64_t next_tenth(std::uint64_t n, std::uint64_t total) noexcept {
  if (total == ProgressCounter::kUnknown || total == 0 || n >= total) return ProgressCounter::kNever;
  const double part = static_cast<double>(total) / 10;
  const double tenth = std::floor(static_cast<double>(n) / part) + 1;
  return tenth < 10 ? static_cast<std::uint64_t>(std::ceil(tenth * part)) : ProgressCounter::kNever;
}

}  // namespace

Pace::Pace(Rules rules, std::uint64_t n, std::int64_t now_ns, std::int64_t first_ns) noexcept
    : rules_(rules),
      last_n_(n),
      last_ns_(now_ns),
      draw_at_ns_(first_ns),
      tenth_at_ns_(first_ns),
      tenth_n_(ProgressCounter::kNever),
      least_n_(n) {}

bool Pace::look(ProgressCounter& counter, std::uint64_t n) noexcept {
  if (stopped_.load(std::memory_order_relaxed)) {
    counter.wake.store(ProgressCounter::kNever, std::memory_order_relaxed);
    return false;
  }
  if (looking_.load(std::memory_order_relaxed) || looking_.exchange(true, std::memory_order_acquire)) return false;
  const std::int64_t now_ns = os::now_ns();
  const std::uint64_t ahead = step(n, now_ns);
  counter.wake.store(n + std::min(ahead, ProgressCounter::kNever - n), std::memory_order_relaxed);
  looking_.store(false, std::memory_order_release);
  return due(n, now_ns);
}

bool Pace::due(std::uint64_t n, std::int64_t now_ns) const noexcept {
  if (n < least_n_.load(std::memory_order_relaxed)) return false;
  if (time_is_up(now_ns)) return true;
  return rules_.lines && n >= tenth_n_.load(std::memory_order_relaxed) &&
         now_ns >= tenth_at_ns_.load(std::memory_order_relaxed);
}

std::uint64_t Pace::step(std::uint64_t n, std::int64_t now_ns) noexcept {
  const std::uint64_t done = n > last_n_ ? n - last_n_ : 0;
  const std::int64_t took_ns = std::max<std::int64_t>(now_ns - last_ns_, 1);
  last_n_ = n;
  last_ns_ = now_ns;
  // Drawing with every update is what mininterval 0 asks for.
  if (rules_.mininterval_ns == 0) return step_ = 1;
  const std::int64_t wanted_ns = std::min(rules_.mininterval_ns, kLookEvery_ns);
  const double fitting = static_cast<double>(done) * static_cast<double>(wanted_ns) / static_cast<double>(took_ns);
  // A single fast interval does not say much, so steps grow by doubling; they shrink at once.
  const auto limit = static_cast<double>(std::max(step_ * 2, done));
  return step_ = static_cast<std::uint64_t>(std::clamp(fitting, 1.0, std::max(limit, 1.0)));
}

void Pace::drawn(const ProgressCounter& counter, std::uint64_t n, std::int64_t now_ns) noexcept {
  const auto later = [&](std::int64_t ns) { return ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + ns; };
  const std::int64_t interval_ns =
      rules_.lines ? std::max(rules_.mininterval_ns, kLinesEvery_ns) : rules_.mininterval_ns;
  draw_at_ns_.store(later(interval_ns), std::memory_order_relaxed);
  tenth_at_ns_.store(later(rules_.mininterval_ns), std::memory_order_relaxed);
  tenth_n_.store(next_tenth(n, counter.total.load(std::memory_order_relaxed)), std::memory_order_relaxed);
  least_n_.store(n + std::min(rules_.miniters, ProgressCounter::kNever - n), std::memory_order_relaxed);
}

void Pace::jump(ProgressCounter& counter, std::uint64_t n) noexcept {
  // A look that is under way would put `wake` where the old count belongs. It takes some nanoseconds.
  while (looking_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  counter.set_count(n);
  counter.wake.store(0, std::memory_order_relaxed);
  last_n_ = n;
  step_ = 1;
  least_n_.store(n, std::memory_order_relaxed);
  looking_.store(false, std::memory_order_release);
}

void Pace::stop(ProgressCounter& counter) noexcept {
  stopped_.store(true, std::memory_order_relaxed);
  counter.wake.store(ProgressCounter::kNever, std::memory_order_relaxed);
}

}  // namespace brood::bars
