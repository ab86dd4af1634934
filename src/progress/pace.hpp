// When the counting side of a bar looks at the clock, and when that leads to a drawing.
//
// An update that finds its count below ProgressCounter::wake does nothing more. The others come here, and put `wake` so
// far ahead that at the speed of late the next look is kLookEvery later: often enough that a sudden slowness of the
// work is noticed soon, seldom enough that reading the clock costs nothing.
//
// Thread safety: all; of several looks at once one counts, the others return. Across fork: the child's copy may be
// stuck in a look of a thread that the child does not have; the child must not use it.
#pragma once

#include <brood/detail/progress_counter.hpp>

#include <atomic>
#include <cstdint>

namespace brood::bars {

class Pace {
 public:
  struct Rules {
    std::int64_t mininterval_ns = 0;
    std::uint64_t miniters = 0;
    // Whole lines in a file rather than a row of a terminal: after every tenth of the total or every 10 s.
    bool lines = false;
  };

  // Nothing is due before `first_ns`.
  Pace(Rules rules, std::uint64_t n, std::int64_t now_ns, std::int64_t first_ns) noexcept;

  // Reads the clock; true when a drawing is due.
  bool look(detail::ProgressCounter& counter, std::uint64_t n) noexcept;

  // Says that the bar has been drawn with this count. Under the renderer's lock.
  void drawn(const detail::ProgressCounter& counter, std::uint64_t n, std::int64_t now_ns) noexcept;
  // Whether time alone makes a drawing due.
  bool time_is_up(std::int64_t now_ns) const noexcept { return now_ns >= draw_at_ns_.load(std::memory_order_relaxed); }

  // Sets the count, also backwards.
  void jump(detail::ProgressCounter& counter, std::uint64_t n) noexcept;
  // From now on nothing is due.
  void stop(detail::ProgressCounter& counter) noexcept;

 private:
  bool due(std::uint64_t n, std::int64_t now_ns) const noexcept;
  std::uint64_t step(std::uint64_t n, std::int64_t now_ns) noexcept;

  const Rules rules_;

  // Guarded by looking_.
  std::atomic<bool> looking_{false};
  std::uint64_t last_n_;
  std::int64_t last_ns_;
  std::uint64_t step_ = 1;

  // Written after a drawing, read by every look.
  std::atomic<std::int64_t> draw_at_ns_;
  std::atomic<std::int64_t> tenth_at_ns_;
  std::atomic<std::uint64_t> tenth_n_;
  std::atomic<std::uint64_t> least_n_;
  std::atomic<bool> stopped_{false};
};

}  // namespace brood::bars
