#include "os/large_buffer.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <new>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20U;

}  // namespace

void advise_huge_pages(void* data, std::size_t bytes) noexcept {
  const int saved = errno;
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(data) + kHugePage - 1) & ~(kHugePage - 1);
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(data) + bytes) & ~(kHugePage - 1);
  if (begin < end) {
    call(Call::madvise, [&] { return ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE); });
  }
  errno = saved;
}

LargeBuffer::LargeBuffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* const at = call(Call::mmap, [&] {
    return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  });
  if (at == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(at);
  advise_huge_pages(data_, bytes);
}

LargeBuffer::~LargeBuffer() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace brood::os
