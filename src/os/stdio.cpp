#include "os/stdio.hpp"

#include <stdio.h>
#include <stdio_ext.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "os/fork.hpp"

// glibc's own walk over all open streams. Weak: without it only the standard streams are looked after.
extern "C" {
struct _IO_marker;
void* _IO_iter_begin() __attribute__((weak));
void* _IO_iter_end() __attribute__((weak));
void* _IO_iter_next(void*) __attribute__((weak));
FILE* _IO_iter_file(void*) __attribute__((weak));
}

namespace brood::os {
namespace {

std::ostream* const kStandardStreams[] = {&std::cout, &std::cerr, &std::clog};

// After std::ios::sync_with_stdio(false) the C++ streams have buffers of their own, which are file buffers. Any other
// kind of buffer (stdio's own, or one that the program put there) needs no care or is not ours to touch.
std::streambuf* as_file_buffer(std::streambuf* buffer) noexcept { return dynamic_cast<std::filebuf*>(buffer); }

// The buffers that the streams began with, as far as they are stdio's: statics that are never anything else, so that a
// child need not ask for their type, which costs it several page faults.
struct StdioBuffers {
  const std::streambuf* buffers[std::size(kStandardStreams)];

  StdioBuffers() noexcept {
    for (std::size_t i = 0; i < std::size(buffers); ++i) {
      std::streambuf* const buffer = kStandardStreams[i]->rdbuf();
      buffers[i] = as_file_buffer(buffer) == nullptr ? buffer : nullptr;
    }
  }
};

// Asked for at load time if that is early enough; else by a static object's constructor that starts a process.
const StdioBuffers& stdio_buffers() noexcept {
  static const std::ios_base::Init streams;
  static const StdioBuffers found;
  return found;
}
[[maybe_unused]] const StdioBuffers& found_at_load = stdio_buffers();

std::streambuf* own_buffer(std::size_t stream) noexcept {
  const StdioBuffers& known = stdio_buffers();
  std::streambuf* const buffer = kStandardStreams[stream]->rdbuf();
  return buffer == known.buffers[stream] ? nullptr : as_file_buffer(buffer);
}

void flush_unless_held(FILE* file) noexcept {
  if (::ftrylockfile(file) != 0) return;
  ::fflush_unlocked(file);
  ::funlockfile(file);
}

// Names protected members of any stream buffer.
struct OpenStreambuf : std::streambuf {
  static void discard(std::streambuf& buffer) {
    const auto pending = (buffer.*(&OpenStreambuf::pptr))() - (buffer.*(&OpenStreambuf::pbase))();
    (buffer.*(&OpenStreambuf::pbump))(static_cast<int>(-pending));
  }
};

// Only output (purging would also throw away what was read ahead), and only of files: a stream into memory holds no
// output, it is the program's data.
void discard(FILE* file) noexcept {
  if (::__fpending(file) > 0 && ::fileno(file) >= 0) ::__fpurge(file);
}

}  // namespace

void flush_output_before_fork() noexcept {
  if (is_single_threaded()) {
    flush_all_output();
    return;
  }
  // The C++ streams' own buffers have no lock, so another thread may be using them: the child discards its copy.
  flush_unless_held(stdout);
  flush_unless_held(stderr);
}

void discard_inherited_output() noexcept {
  for (std::size_t i = 0; i < std::size(kStandardStreams); ++i) {
    if (std::streambuf* const buffer = own_buffer(i)) OpenStreambuf::discard(*buffer);
  }
  if (_IO_iter_begin == nullptr || _IO_iter_end == nullptr || _IO_iter_next == nullptr || _IO_iter_file == nullptr) {
    discard(stdout);
    discard(stderr);
    return;
  }
  for (void* i = _IO_iter_begin(); i != _IO_iter_end(); i = _IO_iter_next(i)) discard(_IO_iter_file(i));
}

void flush_all_output() noexcept {
  for (std::size_t i = 0; i < std::size(kStandardStreams); ++i) {
    try {
      if (own_buffer(i) != nullptr) kStandardStreams[i]->flush();
    } catch (...) {  // a stream with exceptions() on: the error stays in its state
    }
  }
  ::fflush(nullptr);
}

}  // namespace brood::os
