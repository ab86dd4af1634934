// Memory for large payloads, on huge pages where the system offers them: touching 64 MiB in small pages takes longer
// than copying it.
//
// Ownership: move-only. Across fork: private memory, copied on write like any other.
#pragma once

#include <cstddef>
#include <utility>

namespace brood::os {

// Asks for huge pages under [data, data + bytes), whoever allocated them. Only advice: never fails.
void advise_huge_pages(void* data, std::size_t bytes) noexcept;

class LargeBuffer {
 public:
  LargeBuffer() = default;
  // Uninitialized. Throws std::bad_alloc.
  explicit LargeBuffer(std::size_t bytes);
  LargeBuffer(LargeBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  LargeBuffer& operator=(LargeBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~LargeBuffer();

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace brood::os
