// treesum: the SHA-256 of every regular file under some directories, on every CPU, with a progress bar over bytes.
#include <brood/brood.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <optional>
#include <ranges>
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
// ones follow in the order of their directories.
std::vector<std::size_t> order_of_work(const std::vector<FoundFile>& files) {
  constexpr std::uint64_t kLarge = 1 << 20;
  std::vector<std::size_t> order(files.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto small = std::ranges::stable_partition(order, [&](std::size_t i) { return files[i].bytes >= kLarge; });
  std::sort(order.begin(), small.begin(), [&](std::size_t a, std::size_t b) { return files[a].bytes > files[b].bytes; });
  return order;
}

class Treesum {
 public:
  explicit Treesum(Arguments arguments) : arguments_(std::move(arguments)) {}

  int run() {
    walk_ = find_files(arguments_.paths);
    summary_.serial_seconds = seconds_since_start();
    digests_.resize(walk_.files.size());
    hash_all();
    const bool written = print_digests();
    if (!written) std::fprintf(stderr, "treesum: cannot write the output: %s\n", std::strerror(errno));
    std::ranges::sort(walk_.unreadable, {}, &Unreadable::path);
    print_unreadable(stderr, walk_.unreadable);
    summary_.seconds = seconds_since_start();
    if (!arguments_.quiet) print_summary(stderr, summary_);
    return written && walk_.unreadable.empty() ? 0 : 1;
  }

 private:
  double seconds_since_start() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  void hash_all() {
    const std::vector<std::size_t> order = order_of_work(walk_.files);
    auto tasks = order | std::views::transform([this](std::size_t i) {
                   return FileToHash{i, walk_.files[i].path, walk_.files[i].is_argument};
                 });

    brood::Pool pool(arguments_.workers);
    summary_.workers = pool.size();
    std::optional<brood::Progress> bar;
    if (!arguments_.quiet) bar.emplace(brood::ProgressOptions{.total = total_bytes(), .unit = "B", .unit_scale = true});
    std::optional<Chaos> chaos;
    if (arguments_.chaos) chaos.emplace(pool);

    auto digests = pool.with(brood::TaskOptions{.retries = arguments_.chaos ? 1'000'000U : 0U})
                       .imap_unordered(hash_file, tasks);
    for (;;) {
      std::size_t done = 0;
      try {
        const std::optional<FileDigest> digest = digests.next();
        if (!digest) break;
        done = digest->index;
        take(*digest);
      } catch (const brood::WorkerDied& died) {
        // For example the kernel's out-of-memory killer: this file has no digest, the others do.
        done = order[died.task_index()];
        walk_.unreadable.push_back({walk_.files[done].path, died.what()});
      }
      if (chaos) chaos->file_finished();
      if (bar) bar->update(walk_.files[done].bytes);
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
      walk_.unreadable.push_back({walk_.files[digest.index].path, digest.error});
      return;
    }
    digests_[digest.index] = digest.sha256;
    ++summary_.files;
    summary_.bytes += digest.bytes;
    summary_.changed += digest.changed;
  }

  // In the order of walk_.files: by path. False when the output could not be written.
  bool print_digests() const {
    for (std::size_t i = 0; i < digests_.size(); ++i) {
      if (!digests_[i]) continue;
      const std::string line = checksum_line(*digests_[i], walk_.files[i].path);
      std::fwrite(line.data(), 1, line.size(), stdout);
    }
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  }

  std::uint64_t total_bytes() const {
    std::uint64_t bytes = 0;
    for (const FoundFile& file : walk_.files) bytes += file.bytes;
    return bytes;
  }

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const Arguments arguments_;
  Walk walk_;
  Summary summary_;
  std::vector<std::optional<std::array<unsigned char, 32>>> digests_;  // by the file's place in walk_.files
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
