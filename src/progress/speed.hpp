// The smoothed rate of a bar: exponentially weighted means of the counts and of the times between drawings.
//
// Thread safety: none of its own, the renderer's lock guards it. Across fork: a value.
#pragma once

#include <optional>

namespace brood::bars {

class Speed {
 public:
  explicit Speed(double smoothing) noexcept : smoothing_(smoothing) {}

  void add(double count, double seconds) noexcept {
    count_ = smoothing_ * count + (1 - smoothing_) * count_;
    seconds_ = smoothing_ * seconds + (1 - smoothing_) * seconds_;
  }
  // The correction of both means is the same factor and falls out. Nothing before the first interval.
  std::optional<double> per_second() const noexcept {
    return seconds_ > 0 ? std::optional<double>(count_ / seconds_) : std::nullopt;
  }

 private:
  double smoothing_;
  double count_ = 0;
  double seconds_ = 0;
};

}  // namespace brood::bars
