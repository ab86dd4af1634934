// A fresh process of this program that calls what it is sent: with other addresses, and without the libraries that were
// opened here.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "wire/function/definition.hpp"

namespace brood::wire::testing {

inline constexpr const char* kChild = "BROOD_FUNCTION_CHILD";  // its two descriptors

struct Parcel {
  std::string definition, args;
};
struct Reply {
  bool good = false;
  std::string text;
};

template <class T>
void write_to(int fd, const T& value) {
  const std::string bytes = encoded(value);
  const std::uint64_t size = bytes.size();
  EXPECT_EQ(::write(fd, &size, sizeof size), 8);
  EXPECT_EQ(::write(fd, bytes.data(), size), static_cast<ssize_t>(size));
}
template <class T>
T read_from(int fd) {
  std::uint64_t size = 0;
  if (::read(fd, &size, sizeof size) != 8) throw std::runtime_error("the other process has ended");
  std::string bytes(size, '\0');
  for (std::size_t at = 0; at < size;) {
    const ssize_t got = ::read(fd, bytes.data() + at, size - at);
    if (got <= 0) throw std::runtime_error("the other process has ended");
    at += static_cast<std::size_t>(got);
  }
  return decoded<T>(bytes);
}

class OtherProcess {
 public:
  OtherProcess() {
    int to[2], from[2];
    EXPECT_EQ(::pipe(to), 0);
    EXPECT_EQ(::pipe(from), 0);
    ::fcntl(to[1], F_SETFD, FD_CLOEXEC);
    ::fcntl(from[0], F_SETFD, FD_CLOEXEC);
    const std::string fds = std::to_string(to[0]) + "," + std::to_string(from[1]);
    ::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setenv(kChild, fds.c_str(), 1);
      const int null = ::open("/dev/null", O_WRONLY);
      ::dup2(null, 1);
      ::execl("/proc/self/exe", "other", "--gtest_filter=FunctionChild.Answers", nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
  }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;
  ~OtherProcess() {
    ::close(to_);
    ::close(from_);
    ::waitpid(pid_, nullptr, 0);
  }

  // What the call gives there, or the text of its error.
  Reply call(const std::string& definition, const std::string& args) {
    write_to(to_, Parcel{definition, args});
    return read_from<Reply>(from_);
  }

 private:
  pid_t pid_ = 0;
  int to_ = -1, from_ = -1;
};

}  // namespace brood::wire::testing
