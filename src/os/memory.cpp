#include "os/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "os/fork.hpp"
#include "os/syscall.hpp"

namespace brood::os {
namespace {

int protection(Access access) { return access == Access::read ? PROT_READ : PROT_READ | PROT_WRITE; }

std::byte* map(void* address, std::size_t bytes, int prot, int flags, int fd, std::size_t offset) {
  void* const data =
      call(Call::mmap, [&] { return ::mmap(address, bytes, prot, flags, fd, static_cast<off_t>(offset)); });
  return data == MAP_FAILED ? nullptr : static_cast<std::byte*>(data);
}

[[noreturn]] void throw_map_error(std::size_t bytes, int fd) {
  throw_errno(errno, "mmap", std::to_string(bytes) + " bytes, fd " + std::to_string(fd));
}

}  // namespace

Fd make_memfd(const char* label, std::size_t bytes) {
  const int raw = call(Call::memfd_create, [&] { return ::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING); });
  if (raw < 0) throw_errno(errno, "memfd_create", label);
  Fd fd(raw);
  if (call(Call::ftruncate, [&] { return ::ftruncate(raw, static_cast<off_t>(bytes)); }) < 0) {
    throw_errno(errno, "ftruncate", std::string(label) + ", " + std::to_string(bytes));
  }
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (call(Call::fcntl, [&] { return ::fcntl(raw, F_ADD_SEALS, seals); }) < 0) {
    throw_errno(errno, "fcntl", std::string("F_ADD_SEALS, ") + label);
  }
  return fd;
}

std::size_t page_size() noexcept {
  static const std::size_t size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

Mapping Mapping::shared(int fd, std::size_t offset, std::size_t bytes, Access access) {
  std::byte* const data = map(nullptr, bytes, protection(access), MAP_SHARED, fd, offset);
  if (data == nullptr) throw_map_error(bytes, fd);
  return Mapping(data, bytes, bytes);
}

Mapping Mapping::mirrored(int fd, std::size_t offset, std::size_t bytes, Access access) {
  if (bytes == 0 || bytes % page_size() != 0 || bytes > SIZE_MAX / 2) {
    throw_errno(EINVAL, "mmap", "mirrored, " + std::to_string(bytes) + " bytes");
  }
  // The whole range is reserved first, so that nothing else can move in between the halves.
  std::byte* const data = map(nullptr, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == nullptr) throw_map_error(2 * bytes, -1);
  Mapping mapping(data, bytes, 2 * bytes);
  for (std::byte* half : {data, data + bytes}) {
    if (map(half, bytes, protection(access), MAP_SHARED | MAP_FIXED, fd, offset) == nullptr) throw_map_error(bytes, fd);
  }
  return mapping;
}

Mapping Mapping::anonymous_shared(std::size_t bytes) {
  std::byte* const data = map(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (data == nullptr) throw_map_error(bytes, -1);
  return Mapping(data, bytes, bytes);
}

Mapping Mapping::anonymous_private(std::size_t bytes) {
  std::byte* const data = map(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == nullptr) throw_map_error(bytes, -1);
  return Mapping(data, bytes, bytes);
}

Mapping::~Mapping() {
  if (data_ == nullptr || (excluded_ && excluded_in_ != fork_generation())) return;
  ::munmap(data_, mapped_);
}

void Mapping::swap(Mapping& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  std::swap(excluded_, other.excluded_);
  std::swap(excluded_in_, other.excluded_in_);
}

std::byte* Mapping::release() noexcept { return std::exchange(data_, nullptr); }

void Mapping::exclude_from_fork() {
  if (data_ == nullptr) return;
  if (call(Call::madvise, [&] { return ::madvise(data_, mapped_, MADV_DONTFORK); }) < 0) {
    throw_errno(errno, "madvise", "MADV_DONTFORK");
  }
  excluded_ = true;
  excluded_in_ = fork_generation();
}

}  // namespace brood::os
