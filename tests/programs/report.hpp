// How the programs of this folder tell their test what happened: lines in the file that $PROGRAM_LOG names.
//
// Standard output will not do, since some of them run without. Processes of any number may write: a line is one write.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace programs {

inline void report(const std::string& words) {
  const char* const path = std::getenv("PROGRAM_LOG");
  if (path == nullptr) return;
  const int fd = ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  const std::string line = words + "\n";
  if (fd < 0 || ::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
  ::close(fd);
}

inline bool failed = false;

inline void expect(bool good, const std::string& what) {
  if (good) return;
  failed = true;
  report("failed: " + what);
}

// The last line that main() writes, and what it returns.
inline int verdict() {
  if (!failed) report("ok");
  return failed ? 1 : 0;
}

}  // namespace programs
