// Processes as /proc shows them.
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace brood::pool_tests {

struct ProcessStat {
  char state = '?';
  pid_t parent = 0;
  unsigned long ticks = 0;  // of user and system time
};

inline std::optional<ProcessStat> stat_of(pid_t pid) {
  std::FILE* const file = std::fopen(("/proc/" + std::to_string(pid) + "/stat").c_str(), "re");
  if (file == nullptr) return std::nullopt;
  char text[1024];
  const std::size_t got = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  text[got] = '\0';
  // The name, which may hold anything, ends at the last parenthesis.
  const std::string line = text;
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  ProcessStat stat;
  unsigned long user = 0;
  unsigned long system = 0;
  int parent = 0;
  if (std::sscanf(line.c_str() + name_end + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &stat.state,
                  &parent, &user, &system) != 4) {
    return std::nullopt;
  }
  stat.parent = parent;
  stat.ticks = user + system;
  return stat;
}

// A zombie does not run any more.
inline bool is_running(pid_t pid) {
  const auto stat = stat_of(pid);
  return stat && stat->state != 'Z' && stat->state != 'X';
}

// The names of a folder that are numbers.
inline std::vector<pid_t> all_processes() {
  std::vector<pid_t> all;
  DIR* const directory = ::opendir("/proc");
  while (const dirent* const entry = ::readdir(directory)) {
    const int pid = std::atoi(entry->d_name);
    if (pid > 0) all.push_back(pid);
  }
  ::closedir(directory);
  return all;
}

// Children, their children and so on; zombies too.
inline std::set<pid_t> descendants_of(pid_t ancestor) {
  std::set<pid_t> family{ancestor};
  const std::vector<pid_t> all = all_processes();
  for (std::size_t before = 0; before != family.size();) {
    before = family.size();
    for (const pid_t pid : all) {
      const auto stat = stat_of(pid);
      if (stat && family.contains(stat->parent)) family.insert(pid);
    }
  }
  family.erase(ancestor);
  return family;
}

// The one kind of process of ours whose standard streams all lead nowhere.
inline bool is_fork_server(pid_t pid) {
  struct stat nowhere {};
  ::stat("/dev/null", &nowhere);
  for (const char* const stream : {"/fd/0", "/fd/1", "/fd/2"}) {
    struct stat status {};
    if (::stat(("/proc/" + std::to_string(pid) + stream).c_str(), &status) != 0) return false;
    if (status.st_rdev != nowhere.st_rdev) return false;
  }
  return true;
}

// The descendants of this process without its fork server, which stays as long as this process. Of its zombies, only
// those that this process has to reap itself.
inline std::set<pid_t> family() {
  std::set<pid_t> all = descendants_of(::getpid());
  std::erase_if(all, [](pid_t pid) {
    const auto stat = stat_of(pid);
    if (!stat) return true;
    if (stat->parent != ::getpid()) return !is_running(pid);
    return is_fork_server(pid);
  });
  return all;
}

// Whether this process has such a descendant.
inline bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && !family().empty();
}

}  // namespace brood::pool_tests
