// treesum: the SHA-256 of every regular file under some directories, on every CPU, with a progress bar over bytes.
#include <brood/brood.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chaos.hpp"
#include "hash.hpp"
#include "report.hpp"
#include "walk.hpp"

namespace {

constexpr char kUsage[] = "usage: treesum [-j N] [--chaos] [--quiet] PATH...\n";
constexpr char kHelp[] =
    "Prints the SHA-256 of every regular file under the given paths, sorted by path, in the format that\n"
    "`sha256sum -c` reads.\n"
    "\n"
    "  -j N      worker processes (default: the CPUs this process may use)\n"
    "  --chaos   kill a random worker every 50 ms; the output stays the same. Files that take longer than that\n"
    "            get longer lives: while no file is finished, the interval doubles\n"
    "  --quiet   no progress bar and no closing table\n"
    "\n"
    "Symbolic links are followed only when they are given as PATH. What cannot be read is reported at the end.\n"
    "The closing table's speed-up is (seconds to find the files + CPU seconds the workers spent on opening, reading\n"
    "and hashing them, each file once) / seconds of the whole run: a bound for what one process would have needed\n"
    "that did not wait for the disk, measured while the workers shared the machine.\n"
    "Exit status: 0, 1 when something could not be read, 2 for wrong usage, 130 when interrupted.\n";

struct Arguments {
  std::vector<std::string> paths;
  unsigned workers = 0;
  bool chaos = false, quiet = false, help = false;
};

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  bool options_end = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (options_end || !word.starts_with('-') || word == "-") {
      // sha256sum takes "-" for its standard input.
      if (word.empty()) return std::nullopt;
      arguments.paths.emplace_back(word == "-" ? "./-" : word);
    } else if (word == "--") {
      options_end = true;
    } else if (word == "--chaos") {
      arguments.chaos = true;
    } else if (word == "--quiet") {
      arguments.quiet = true;
    } else if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (word.starts_with("-j")) {
      word.remove_prefix(2);
      if (word.empty() && ++i < argc) word = argv[i];
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), arguments.workers);
      if (error != std::errc() || end != word.data() + word.size() || arguments.workers == 0) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (arguments.paths.empty() && !arguments.help) return std::nullopt;
  return arguments;
}

// Large files first, largest of all foremost, so that none of them is begun when everything else is done; the small
// ones follow in the order of their directories. A task's index is its place in the result.
std::vector<FileToHash> order_of_work(std::vector<FoundFile> files) {
  constexpr std::uint64_t kLarge = 1 << 20;
  const auto small =
      std::stable_partition(files.begin(), files.end(), [](const FoundFile& file) { return file.bytes >= kLarge; });
  std::sort(files.begin(), small, [](const FoundFile& a, const FoundFile& b) { return a.bytes > b.bytes; });
  std::vector<FileToHash> tasks;
  tasks.reserve(files.size());
  for (FoundFile& file : files) tasks.push_back({tasks.size(), std::move(file)});
  return tasks;
}

class Treesum {
 public:
  explicit Treesum(Arguments arguments) : arguments_(std::move(arguments)) {}

  int run() {
    Walk walk = find_files(arguments_.paths);
    summary_.serial_seconds = seconds_since_start();
    unreadable_ = std::move(walk.unreadable);
    tasks_ = order_of_work(std::move(walk.files));
    digests_.resize(tasks_.size());
    hash_all();
    const bool written = print_digests();
    if (!written) std::fprintf(stderr, "treesum: cannot write the output: %s\n", std::strerror(errno));
    std::ranges::sort(unreadable_, {}, &Unreadable::path);
    print_unreadable(stderr, unreadable_);
    summary_.seconds = seconds_since_start();
    if (!arguments_.quiet) print_summary(stderr, summary_);
    return written && unreadable_.empty() ? 0 : 1;
  }

 private:
  double seconds_since_start() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  void hash_all() {
    brood::Pool pool(arguments_.workers);
    summary_.workers = pool.size();
    std::optional<brood::Progress> bar;
    if (!arguments_.quiet) bar.emplace(brood::ProgressOptions{.total = total_bytes(), .unit = "B", .unit_scale = true});
    std::optional<Chaos> chaos;
    if (arguments_.chaos) chaos.emplace(pool);

    auto digests =
        pool.with(brood::TaskOptions{.retries = arguments_.chaos ? 1'000'000U : 0U}).imap_unordered(hash_file, tasks_);
    for (;;) {
      std::size_t done = 0;
      try {
        const std::optional<FileDigest> digest = digests.next();
        if (!digest) break;
        done = digest->index;
        take(*digest);
      } catch (const brood::WorkerDied& died) {
        // For example the kernel's out-of-memory killer: this file has no digest, the others do.
        done = died.task_index();
        unreadable_.push_back({tasks_[done].file.path, died.what()});
      }
      if (chaos) chaos->file_finished();
      if (bar) bar->update(tasks_[done].file.bytes);
    }
    if (chaos) summary_.killed = chaos->stop();
    if (bar) bar->close();
    summary_.busiest_worker = busiest(pool.stats());
  }

  static std::string busiest(const brood::PoolStats& stats) {
    const auto worker = std::ranges::max_element(stats.workers, {}, &brood::WorkerStats::busy_seconds);
    if (worker == stats.workers.end() || worker->tasks == 0) return {};
    char text[96];
    std::snprintf(text, sizeof text, "number %td, pid %d: %" PRIu64 " files in %.3f s", worker - stats.workers.begin(),
                  worker->pid, worker->tasks, worker->busy_seconds);
    return text;
  }

  void take(const FileDigest& digest) {
    summary_.serial_seconds += static_cast<double>(digest.cpu_ns) / 1e9;
    if (!digest.error.empty()) {
      unreadable_.push_back({tasks_[digest.index].file.path, digest.error});
      return;
    }
    digests_[digest.index] = digest.sha256;
    ++summary_.files;
    summary_.bytes += digest.bytes;
    summary_.changed += digest.changed;
  }

  // False when the output could not be written.
  bool print_digests() {
    std::ranges::sort(tasks_, {}, [](const FileToHash& task) -> const std::string& { return task.file.path; });
    for (const FileToHash& task : tasks_) {
      if (!digests_[task.index]) continue;
      const std::string line = checksum_line(*digests_[task.index], task.file.path);
      std::fwrite(line.data(), 1, line.size(), stdout);
    }
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  }

  std::uint64_t total_bytes() const {
    std::uint64_t bytes = 0;
    for (const FileToHash& task : tasks_) bytes += task.file.bytes;
    return bytes;
  }

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const Arguments arguments_;
  std::vector<FileToHash> tasks_;                                      // in the order of work
  std::vector<std::optional<std::array<unsigned char, 32>>> digests_;  // by the task's index
  std::vector<Unreadable> unreadable_;
  Summary summary_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Arguments> arguments = parse(argc, argv);
  if (!arguments) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (arguments->help) {
    std::fputs(kUsage, stdout);
    std::fputs(kHelp, stdout);
    return 0;
  }
  try {
    return Treesum(*arguments).run();
  } catch (const brood::Interrupted&) {
    return 130;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "treesum: %s\n", error.what());
    return 1;
  }
}
