// A Source that hands out given bytes a few at a time.
#pragma once

#include <brood/archive.hpp>
#include <brood/error.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace brood::wire {

using Bytes = std::vector<std::byte>;

// Hands out bytes in windows of `step`, each in its own allocation so that a sanitizer sees reads past its end.
class SteppingSource final : public Source {
 public:
  SteppingSource(std::span<const std::byte> bytes, std::size_t step) : bytes_(bytes), step_(step) {}
  std::span<const std::byte> next() override {
    if (bytes_.empty()) throw EndOfFile("the source has ended");
    const std::size_t size = std::min(step_, bytes_.size());
    window_.assign(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size));
    window_.shrink_to_fit();
    bytes_ = bytes_.subspan(size);
    return window_;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t step_;
  Bytes window_;
};

}  // namespace brood::wire
