// One file descriptor and its owner.
//
// Every descriptor brood opens is close-on-exec from the start, so no program started by anybody inherits it.
//
// Thread safety: as a plain value. Across fork: the child has its own copy of the descriptor; the copy of the Fd owns
// it.
#pragma once

#include <cstddef>
#include <utility>

namespace brood::os {

class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  // Gives the descriptor away without closing it.
  int release() noexcept { return std::exchange(fd_, -1); }
  // Closes; never throws, leaves errno alone, never tries twice (after EINTR the number may belong to somebody else).
  void reset() noexcept;
  // A second descriptor for the same open file.
  Fd duplicate() const;

 private:
  int fd_ = -1;
};

// For a descriptor that was just made: the same file, not by the number of a standard stream. Where the program runs
// without those, what is printed must not get into a descriptor of ours.
Fd above_standard_streams(Fd fd);

// Reads or writes what is possible in one go. `read_some` returns 0 at the end of the file. A non-blocking descriptor
// that is not ready is reported as std::system_error(EAGAIN), a pipe without a reader as EPIPE.
std::size_t read_some(int fd, void* data, std::size_t bytes);
std::size_t write_some(int fd, const void* data, std::size_t bytes);

// Writes everything, waiting when the descriptor is non-blocking; false when nobody will ever read it (EPIPE).
// May raise SIGPIPE on a pipe, as write(2) does.
bool write_all(int fd, const void* data, std::size_t bytes);

// Reads until `bytes` are there or the file ends; the number read.
std::size_t read_all(int fd, void* data, std::size_t bytes);

// `flags` as for open(2); O_CLOEXEC is added. The error names the path.
Fd open_file(const char* path, int flags, unsigned mode = 0666);

void set_nonblocking(int fd, bool on);

// Whether programs started from here inherit the descriptor.
void set_inheritable(int fd, bool on);

}  // namespace brood::os
