// How a process comes to be. docs/start-methods.md says which to choose when.
#pragma once

namespace brood {

enum class StartMethod {
  fork,        // a copy of the caller: everything is inherited
  forkserver,  // forked from a clean server process
  spawn,       // a fresh process
};

}  // namespace brood
