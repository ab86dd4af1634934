#include "walk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace {

class Walker {
 public:
  explicit Walker(Walk& walk) : walk_(walk) {}

  void visit(const std::string& path) {
    // fstatat with an absolute or relative path is stat: links in the arguments are followed.
    look_at(AT_FDCWD, path.c_str(), path, /*is_argument=*/true);
    while (!directories_.empty()) {
      const std::string directory = std::move(directories_.back());
      directories_.pop_back();
      list(directory);
    }
  }

 private:
  void list(const std::string& directory) {
    DIR* stream = opendir(directory.c_str());
    if (stream == nullptr) return fail(directory);
    const std::string prefix = directory.back() == '/' ? directory : directory + '/';
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(stream);
      if (entry == nullptr) {
        if (errno != 0) fail(directory);
        break;
      }
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      if (entry->d_type == DT_DIR)
        directories_.push_back(prefix + entry->d_name);
      else if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN)
        look_at(dirfd(stream), entry->d_name, prefix + entry->d_name, /*is_argument=*/false);
    }
    closedir(stream);
  }

  void look_at(int directory_fd, const char* name, const std::string& path, bool is_argument) {
    struct stat status;
    if (fstatat(directory_fd, name, &status, is_argument ? 0 : AT_SYMLINK_NOFOLLOW) != 0) return fail(path);
    if (S_ISDIR(status.st_mode))
      directories_.push_back(path);
    else if (S_ISREG(status.st_mode))
      walk_.files.push_back({path, static_cast<std::uint64_t>(status.st_size), is_argument});
  }

  void fail(const std::string& path) { walk_.unreadable.push_back({path, std::strerror(errno)}); }

  Walk& walk_;
  std::vector<std::string> directories_;  // a stack instead of recursion: trees may be deep
};

}  // namespace

Walk find_files(const std::vector<std::string>& paths) {
  Walk walk;
  Walker walker(walk);
  for (const std::string& path : paths) walker.visit(path);

  // A path given twice, or inside another that was given, is one file; the user's own word for it decides about links.
  std::ranges::sort(walk.files, [](const FoundFile& a, const FoundFile& b) {
    return a.path != b.path ? a.path < b.path : a.is_argument > b.is_argument;
  });
  const auto same_path = [](const FoundFile& a, const FoundFile& b) { return a.path == b.path; };
  walk.files.erase(std::unique(walk.files.begin(), walk.files.end(), same_path), walk.files.end());
  return walk;
}
