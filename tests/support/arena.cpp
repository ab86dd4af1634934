#include "support/arena.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>

namespace brood::testing {
namespace {

constexpr const char* kVariable = "BROOD_TEST_ARENA";
constexpr std::size_t kBytes = std::size_t{256} << 20U;
constexpr std::size_t kPage = 4096;

// Where neither the loader nor a sanitizer puts anything.
char* base() { return reinterpret_cast<char*>(std::uintptr_t{0x7E90'0000'0000}); }

// What this process has given back. What is in use is counted in the arena itself: no two processes may take the same.
struct Allocator {
  std::mutex mutex;
  std::multimap<std::size_t, char*> free;
};
Allocator& allocator() {
  static Allocator& one = *new Allocator;
  return one;
}

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::_Exit(99);
}

std::size_t whole_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

}  // namespace

void map_arena() {
  const char* const path = std::getenv(kVariable);
  int fd = -1;
  if (path != nullptr) {
    fd = ::open(path, O_RDWR | O_CLOEXEC);
  } else {
    fd = ::memfd_create("brood-test-arena", MFD_CLOEXEC);
    if (fd >= 0 && ::ftruncate(fd, static_cast<off_t>(kBytes)) < 0) give_up("ftruncate");
  }
  if (fd < 0) give_up("the arena of the tests");
  void* const memory =
      ::mmap(base(), kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd, 0);
  if (memory != base()) give_up("mmap of the arena of the tests");
  if (path != nullptr) {
    ::close(fd);
    return;
  }
  // Open for as long as this process lives, so that its descendants find it.
  ::setenv(kVariable, ("/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd)).c_str(), 1);
}

void* allocate_shared(std::size_t bytes) {
  const std::size_t size = whole_pages(bytes);
  Allocator& all = allocator();
  const std::lock_guard lock(all.mutex);
  if (const auto found = all.free.find(size); found != all.free.end()) {
    char* const memory = found->second;
    all.free.erase(found);
    std::memset(memory, 0, size);
    return memory;
  }
  auto& used = *std::launder(reinterpret_cast<std::atomic<std::size_t>*>(base()));  // zero at first
  const std::size_t begin = kPage + used.fetch_add(size);
  if (begin + size > kBytes) throw std::bad_alloc();
  return base() + begin;
}

void free_shared(void* memory, std::size_t bytes) noexcept {
  Allocator& all = allocator();
  const std::lock_guard lock(all.mutex);
  all.free.emplace(whole_pages(bytes), static_cast<char*>(memory));
}

}  // namespace brood::testing
