// Reading a large array while its bytes arrive, so that it is copied once and never lies in memory twice.
#pragma once

#include <brood/archive.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace brood::detail {

// A container of elements whose memory is their encoding: what arrives is a length and then that memory.
template <class T>
inline constexpr bool kArrivesInParts = [] {
  if constexpr (Block<T>) {
    return requires(T range) { range.reserve(range.size()); };
  } else {
    return false;
  }
}();

template <class T>
class PartReader {
  using Element = typename T::value_type;

 public:
  // The bytes from `offset` on of `total`, in order and without gaps; offset 0 begins a new value. What is wrong with
  // them is an ArchiveError.
  void add(T& range, std::uint64_t offset, std::uint64_t total, std::span<const std::byte> bytes) {
    if (offset == 0) {
      range.clear();
      prefix_size_ = 0;
      done_ = 0;
    }
    while (!bytes.empty() && prefix_size_ < prefix_length()) {
      prefix_[prefix_size_++] = bytes.front();
      bytes = bytes.subspan(1);
      if (prefix_size_ == prefix_length()) begin(range, total);
    }
    while (!bytes.empty()) {
      // In steps that stay in the cache: growing clears the new elements first, which costs next to nothing there.
      const std::size_t step = bytes.size() < kStep ? bytes.size() : kStep;
      range.resize((done_ + step + sizeof(Element) - 1) / sizeof(Element));
      std::memcpy(reinterpret_cast<std::byte*>(range.data()) + done_, bytes.data(), step);
      done_ += step;
      bytes = bytes.subspan(step);
    }
  }

 private:
  static constexpr std::size_t kStep = 8192;

  // As Writer::put_length() writes it: the first byte says how many there are.
  std::size_t prefix_length() const noexcept {
    if (prefix_size_ == 0 || prefix_[0] < std::byte{wire::Writer::kLongLength}) return 1;
    return prefix_[0] == std::byte{0xFE} ? 1 + sizeof(std::uint32_t) : 1 + sizeof(std::uint64_t);
  }
  void begin(T& range, std::uint64_t total) {
    wire::Reader reader(std::span<const std::byte>(prefix_, prefix_size_));
    const std::uint64_t length = reader.get_length(0);
    const std::uint64_t left = total - prefix_size_;
    if (length != left / sizeof(Element) || left % sizeof(Element) != 0) {
      reader.fail("an array whose length is not that of its bytes");
    }
    range.reserve(static_cast<std::size_t>(length));
    if (left >= wire::kLargeBytes) wire::prepare_large(range.data(), static_cast<std::size_t>(left));
  }

  std::byte prefix_[1 + sizeof(std::uint64_t)]{};
  std::size_t prefix_size_ = 0;
  std::size_t done_ = 0;  // bytes of elements
};

}  // namespace brood::detail
