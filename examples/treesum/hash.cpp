#include "hash.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

// One per worker: making them costs more than the digest of a small file.
class Sha256 {
 public:
  void begin() { check(EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr)); }
  void add(const void* data, std::size_t bytes) { check(EVP_DigestUpdate(context_.get(), data, bytes)); }
  void end(std::array<unsigned char, 32>& digest) { check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr)); }

 private:
  static void check(int ok) {
    if (ok != 1) throw std::runtime_error("libcrypto: SHA-256 is not available");
  }

  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm_{EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free};
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::int64_t cpu_now_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// The empty string, or why the file could not be read.
std::string read_and_hash(const FoundFile& file, FileDigest& result) {
  // O_NONBLOCK: what was a file when it was found may be a fifo now, and opening that would wait for a writer.
  const OpenFile opened(
      open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (file.is_argument ? 0 : O_NOFOLLOW)));
  struct stat status {};
  if (opened.get() < 0 || fstat(opened.get(), &status) != 0) return std::strerror(errno);
  if (!S_ISREG(status.st_mode)) return "No longer a regular file";

  static Sha256 hash;
  static std::vector<unsigned char> buffer(256 * 1024);
  hash.begin();
  for (;;) {
    const ssize_t got = read(opened.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::strerror(errno);
    if (got == 0) break;
    hash.add(buffer.data(), static_cast<std::size_t>(got));
    result.bytes += static_cast<std::uint64_t>(got);
  }
  hash.end(result.sha256);
  // The files of /proc and /sys say 0 whatever they hold.
  result.changed = status.st_size != 0 && result.bytes != static_cast<std::uint64_t>(status.st_size);
  return {};
}

}  // namespace

FileDigest hash_file(const FileToHash& task) {
  const std::int64_t start_ns = cpu_now_ns();
  FileDigest result;
  result.index = task.index;
  result.error = read_and_hash(task.file, result);
  result.cpu_ns = cpu_now_ns() - start_ns;
  return result;
}
