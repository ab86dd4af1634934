// What one process tells another in one go: bytes of any number, and descriptors, through a socket of
// os::socket_pair().
//
// Few bytes are the message itself; many lie in a memory file that goes with it, so that sending never waits for the
// reader and the reader never for the sender.
//
// Thread safety: a letter is sent or received whole. Across fork: plain descriptors and memory.
#pragma once

#include <brood/archive.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "os/fd.hpp"
#include "os/memory.hpp"

namespace brood::proc {

// False when the other side is gone. Blocks while the socket has no room, which is never for the first few letters.
bool send_letter(int socket, const wire::Writer& writer, std::span<const int> fds = {});

class Letter {
 public:
  // The next letter; waits for it. Nothing when the other side is gone. Throws ArchiveError when it is none.
  static std::optional<Letter> receive(int socket);

  std::span<const std::byte> bytes() const noexcept {
    return large_ ? std::span<const std::byte>(large_.data(), size_) : std::span(small_).subspan(1);
  }
  std::vector<os::Fd>& fds() noexcept { return fds_; }

 private:
  std::vector<std::byte> small_;
  os::Mapping large_;
  std::size_t size_ = 0;
  std::vector<os::Fd> fds_;
};

}  // namespace brood::proc
