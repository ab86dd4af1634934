// How a process comes to be. Only `fork` is available in this version; asking for another is a ProcessError, and
// get_all_start_methods() says what there is.
#pragma once

namespace brood {

enum class StartMethod {
  fork,        // a copy of the caller: everything is inherited
  forkserver,  // forked from a clean server process
  spawn,       // a fresh process
};

}  // namespace brood
