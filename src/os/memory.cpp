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

// Whatever `seals` leaves open, no seal can be added later.
Fd make_sealed(const char* label, std::size_t bytes, int seals) {
  const int raw = call(Call::memfd_create, [&] { return ::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING); });
  if (raw < 0) throw_errno(errno, "memfd_create", label);
  Fd fd = above_standard_streams(Fd(raw));
  if (call(Call::ftruncate, [&] { return ::ftruncate(fd.get(), static_cast<off_t>(bytes)); }) < 0) {
    throw_errno(errno, "ftruncate", std::string(label) + ", " + std::to_string(bytes));
  }
  if (call(Call::fcntl, [&] { return ::fcntl(fd.get(), F_ADD_SEALS, seals | F_SEAL_SEAL); }) < 0) {
    throw_errno(errno, "fcntl", std::string("F_ADD_SEALS, ") + label);
  }
  return fd;
}

}  // namespace

Fd make_memfd(const char* label, std::size_t bytes) { return make_sealed(label, bytes, F_SEAL_SHRINK | F_SEAL_GROW); }

Fd make_growing_memfd(const char* label, std::size_t bytes) { return make_sealed(label, bytes, F_SEAL_SHRINK); }

void grow_memfd(int fd, std::size_t bytes) {
  if (call(Call::ftruncate, [&] { return ::ftruncate(fd, static_cast<off_t>(bytes)); }) < 0) {
    throw_errno(errno, "ftruncate", std::to_string(fd) + ", " + std::to_string(bytes));
  }
}

void discard_memfd(int fd, std::size_t bytes) noexcept {
  ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
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
  const Piece half{offset, bytes, access};
  const Piece both[] = {half, half};
  Mapping mapping = side_by_side(fd, both);
  mapping.size_ = bytes;
  return mapping;
}

Mapping Mapping::side_by_side(int fd, std::span<const Piece> pieces) {
  std::size_t total = 0;
  for (const Piece& piece : pieces) total += piece.bytes;
  // The first piece takes the whole range, so that nothing else can move in between; the others replace their parts.
  const Piece& first = pieces.front();
  std::byte* const data = map(nullptr, total, protection(first.access), MAP_SHARED, fd, first.offset);
  if (data == nullptr) throw_map_error(total, fd);
  Mapping mapping(data, total, total);
  std::byte* at = data + first.bytes;
  for (const Piece& piece : pieces.subspan(1)) {
    if (map(at, piece.bytes, protection(piece.access), MAP_SHARED | MAP_FIXED, fd, piece.offset) == nullptr) {
      throw_map_error(piece.bytes, fd);
    }
    at += piece.bytes;
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
