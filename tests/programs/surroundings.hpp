// What a process finds around it. A child that inherits nothing else still has its parent's arguments, environment,
// working directory, standard streams, and the signals that were ignored when the program began.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace programs {

struct Stream {
  bool open = false;
  std::uint64_t device = 0, file = 0;
  bool operator==(const Stream&) const = default;
};

struct Surroundings {
  std::string arguments;                 // as in /proc/self/cmdline
  std::vector<std::string> environment;  // sorted
  std::string directory;                 // empty: it is not there any more
  std::vector<Stream> streams;           // 0, 1, 2
};

inline Surroundings surroundings() {
  Surroundings here;
  {
    std::ifstream arguments("/proc/self/cmdline", std::ios::binary);  // closed again before the streams are looked at
    here.arguments.assign(std::istreambuf_iterator<char>(arguments), {});
  }
  for (char** entry = environ; *entry != nullptr; ++entry) here.environment.emplace_back(*entry);
  std::sort(here.environment.begin(), here.environment.end());
  char directory[PATH_MAX] = "";
  if (::getcwd(directory, sizeof directory) != nullptr) here.directory = directory;
  for (int fd = 0; fd < 3; ++fd) {
    struct stat status {};
    const bool open = ::fstat(fd, &status) == 0;
    here.streams.push_back({open, open ? status.st_dev : 0, open ? status.st_ino : 0});
  }
  return here;
}

// Empty, or what is different in this process.
inline std::string difference(const Surroundings& expected) {
  const Surroundings here = surroundings();
  std::string words;
  if (here.arguments != expected.arguments) words += " arguments";
  if (here.environment != expected.environment) words += " environment";
  if (here.directory != expected.directory) words += " directory:" + here.directory;
  for (std::size_t fd = 0; fd < 3; ++fd) {
    if (here.streams[fd] != expected.streams[fd]) words += " descriptor " + std::to_string(fd);
  }
  const char* const ignored = std::getenv("PROGRAM_IGNORED");
  struct sigaction action {};
  if (ignored != nullptr) ::sigaction(std::atoi(ignored), nullptr, &action);
  if (ignored != nullptr && action.sa_handler != SIG_IGN) words += " signal";
  return words;
}

}  // namespace programs
