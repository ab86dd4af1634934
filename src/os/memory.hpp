// Memory that several processes share, without a name anywhere.
//
// Thread safety: as plain values; the bytes are as safe as what is written there.
// Across fork: the child's copy of a Mapping maps the same pages and unmaps only its own view; after
// exclude_from_fork() the child has no pages there and must not touch data().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "os/fd.hpp"

namespace brood::os {

// A memory file of exactly `bytes` zeros. It is sealed: nobody, in any process, can change its size, so a mapping of it
// never raises SIGBUS. `label` is only shown in /proc.
Fd make_memfd(const char* label, std::size_t bytes);
// The same, but it may grow; nobody can shrink it.
Fd make_growing_memfd(const char* label, std::size_t bytes);
void grow_memfd(int fd, std::size_t bytes);
// Gives the memory back to the system, whoever still has the file open or mapped; the bytes are zeros again.
void discard_memfd(int fd, std::size_t bytes) noexcept;

std::size_t page_size() noexcept;

enum class Access { read, read_write };

// A part of a file. Both numbers are multiples of the page size; bytes > 0.
struct Piece {
  std::size_t offset;
  std::size_t bytes;
  Access access;
};

class Mapping {
 public:
  Mapping() noexcept = default;
  // `offset`: a multiple of the page size. `bytes` > 0.
  static Mapping shared(int fd, std::size_t offset, std::size_t bytes, Access access);
  // The same pages twice, side by side: data()[i] and data()[i + size()] are one byte, so that a piece of a ring is
  // contiguous wherever it starts. `offset` and `bytes` are multiples of the page size.
  static Mapping mirrored(int fd, std::size_t offset, std::size_t bytes, Access access);
  // Pieces of one file side by side, in the order given; a piece may occur twice. size() is that of all together.
  static Mapping side_by_side(int fd, std::span<const Piece> pieces);
  // Zeros that this process and its later children share.
  static Mapping anonymous_shared(std::size_t bytes);
  // Zeros of this process's own: a stack, for example.
  static Mapping anonymous_private(std::size_t bytes);

  Mapping(Mapping&& other) noexcept { swap(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    Mapping(static_cast<Mapping&&>(other)).swap(*this);
    return *this;
  }
  ~Mapping();

  std::byte* data() const noexcept { return data_; }
  // As asked for; a mirrored mapping has twice as many addresses.
  std::size_t size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }
  void swap(Mapping& other) noexcept;
  // Leaves the memory mapped for as long as the process lives.
  std::byte* release() noexcept;
  // Children of fork do not get these pages. Not undone.
  void exclude_from_fork();

 private:
  Mapping(std::byte* data, std::size_t size, std::size_t mapped) noexcept : data_(data), size_(size), mapped_(mapped) {}

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
  bool excluded_ = false;
  std::uint64_t excluded_in_ = 0;  // fork generation: in a child the addresses may belong to something else by now
};

}  // namespace brood::os
