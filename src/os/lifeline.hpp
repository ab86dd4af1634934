// A child that dies with its parent, whichever thread forked it.
//
// PR_SET_PDEATHSIG (die_with_parent) fires when the forking *thread* ends, so it is right for a main thread only. Here
// the kernel kills the child when the last copy of a pipe's writing end is closed, which the end of the parent does. A
// child that is stopped or busy dies too. It survives when it closes its own end, exec included.
//
// Across fork: every other child of the parent must close its copy of `writer`, or it keeps the first one alive.
#pragma once

#include "os/fd.hpp"

namespace brood::os {

struct Lifeline {
  Fd reader;  // the child's
  Fd writer;  // the parent's
};

// Made by the parent before the fork.
Lifeline make_lifeline();

// In the child, once, when it has closed its copy of the writer. Leaves at once when the parent is already gone.
void die_at_hangup(int reader);

}  // namespace brood::os
