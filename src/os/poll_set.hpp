// Several descriptors that are waited for as one (epoll).
//
// Thread safety: fd() from anywhere. Across fork: parent and child share the set.
#pragma once

#include "os/fd.hpp"

namespace brood::os {

class PollSet {
 public:
  PollSet() noexcept = default;  // holds nothing and cannot be waited for
  static PollSet make();

  // Readable while any of those added is; they must stay open as long as the set does.
  int fd() const noexcept { return fd_.get(); }
  void add(int fd);

 private:
  explicit PollSet(Fd fd) noexcept : fd_(static_cast<Fd&&>(fd)) {}

  Fd fd_;
};

}  // namespace brood::os
