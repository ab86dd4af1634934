// Copying the running process, and what concerns its parent and its end.
//
// Thread safety: all. fork_process() may be called while other threads hold locks of malloc, of stdio or of their own:
// it waits for none of them. The child has only the calling thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace brood::os {

// fork(2) that neither loses nor doubles buffered output: what is buffered in stdio and in std::cout, cerr and clog is
// written before the fork as far as no other thread holds it, and whatever could not be written then is the parent's:
// the child forgets it. Returns 0 in the child. Throws std::system_error (EAGAIN, ENOMEM).
pid_t fork_process();

// A number that is another one in every child of fork; to see that an object was inherited. Across fork: that is its
// use.
std::uint64_t fork_generation() noexcept;

// Handlers around every fork(2) of this process, brood's or not; see pthread_atfork(3). Null where nothing is to be
// done. Not undone. Throws std::system_error (ENOMEM).
void at_fork(void (*prepare)(), void (*parent)(), void (*child)());

// Calls `handler(code, argument)` when this process calls std::exit() or returns from main(), before the handlers that
// exist already. Not on _exit, std::quick_exit or a signal. Keeps the library that brood is part of loaded for good.
void at_exit(void (*handler)(int code, void* argument), void* argument);

// The end of a forked child: writes what is buffered and leaves, without destructors of statics or atexit functions
// (they are the parent's).
[[noreturn]] void exit_process(int code) noexcept;

pid_t process_id() noexcept;
pid_t parent_process_id() noexcept;
pid_t thread_id() noexcept;
// Whether `expected` is still the parent; true when the parent cannot be seen from this process's pid namespace.
bool is_parent(pid_t expected) noexcept;
// Whether this is the thread that the process began with.
inline bool is_main_thread() noexcept { return thread_id() == process_id(); }
// True when the process certainly has one thread only.
bool is_single_threaded() noexcept;

// From now on the kernel kills (SIGKILL) this process when the *thread* that forked it ends: only for children of a
// thread that lives as long as its process. Leaves at once when the parent is already not `expected_parent`.
void die_with_parent(pid_t expected_parent);

// What ps and top show, cut to 15 bytes.
void set_process_name(const char* name);

}  // namespace brood::os
