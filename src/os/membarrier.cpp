#include "os/membarrier.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace brood::os {
namespace {

long command(int what) noexcept { return ::syscall(SYS_membarrier, what, 0, 0); }

}  // namespace

bool register_membarrier() noexcept {
  const int saved = errno;
  const bool granted = command(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0;
  errno = saved;
  return granted;
}

void membarrier() noexcept {
  if (command(MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0) std::abort();
}

}  // namespace brood::os
