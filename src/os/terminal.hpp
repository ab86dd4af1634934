// What is at the other end of a descriptor that people read, and writing there without ever harming the program.
//
// Thread safety: all; two writes at once may mix where the kernel mixes them. Across fork: nothing is kept.
#pragma once

#include <cstdint>
#include <string_view>

namespace brood::os {

bool is_terminal(int fd) noexcept;

// 0 where the kernel does not know.
struct TerminalSize {
  int columns = 0;
  int rows = 0;
  friend bool operator==(const TerminalSize&, const TerminalSize&) = default;
};
TerminalSize terminal_size(int fd) noexcept;

// Tells whether two descriptors lead to the same terminal or file. All zero when `fd` is not open.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t file = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
FileIdentity file_identity(int fd) noexcept;

enum class Delivery {
  complete,
  skipped,  // nothing was written, because that would have blocked
  lost      // nobody reads, the disk is full, the descriptor is closed: some or all of it is gone
};

// Writes `text` with one write(2) where the kernel takes it whole. No failure is ever thrown, no SIGPIPE raised, and
// errno stays. `skippable` text is not begun when the descriptor is not ready for it (a stopped terminal, a full pipe);
// other text waits. Text that was begun is finished.
Delivery deliver(int fd, std::string_view text, bool skippable) noexcept;

}  // namespace brood::os
