// The failures that brood reports.
//
// Everything brood throws can be caught three ways: as its own type, as `const brood::Error&`, and as
// `const std::exception&`. `Error` itself is not a `std::exception`, because a task's `std::out_of_range` must arrive
// as a `std::out_of_range` *and* as a `RemoteError`, and two `std::exception` bases in one object could no longer be
// caught as `std::exception`.
//
// Failures of the operating system are `std::system_error` with the call and its argument in the text.
//
// Thread safety: exceptions are values; share them as any value. Across fork: plain memory, nothing to do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace brood {

// The base of all of brood's own failures.
class Error {
 public:
  virtual ~Error();
  virtual const char* what() const noexcept = 0;

 protected:
  Error() = default;
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
};

namespace detail {
class Failure : public std::runtime_error, public Error {
 public:
  explicit Failure(const std::string& what) : std::runtime_error(what) {}
  const char* what() const noexcept override { return std::runtime_error::what(); }
};
}  // namespace detail

// A call was given up because its time was over. Whatever it waited for may still happen.
class TimeoutError : public detail::Failure {
 public:
  using Failure::Failure;
};

// The program was asked to stop (SIGINT) while it waited.
class Interrupted : public detail::Failure {
 public:
  using Failure::Failure;
};

// The task was cancelled, or its pool ended, before it had an answer.
class Cancelled : public detail::Failure {
 public:
  using Failure::Failure;
};

// The queue or connection was closed on this side.
class Closed : public detail::Failure {
 public:
  using Failure::Failure;
};

// The last holder of the other side is gone.
class EndOfFile : public detail::Failure {
 public:
  using Failure::Failure;
};

// The two sides do not share the key.
class AuthenticationError : public detail::Failure {
 public:
  using Failure::Failure;
};

// Bytes that are not what they should be: truncated, of another type, or hostile.
class ArchiveError : public detail::Failure {
 public:
  using Failure::Failure;
};

// A party of the barrier died or gave up.
class BrokenBarrier : public detail::Failure {
 public:
  using Failure::Failure;
};

// Misuse of a process or pool: started twice, used after close, used in a forked child.
class ProcessError : public detail::Failure {
 public:
  using Failure::Failure;
};

// A worker ended while it ran a task: that task has no answer. Other tasks are not affected.
class WorkerDied : public detail::Failure {
 public:
  // `exitcode` as in Process::exitcode(): the exit status, or -N when signal N ended the worker.
  WorkerDied(pid_t pid, int exitcode, std::uint64_t task_index);

  pid_t pid() const noexcept { return pid_; }
  int exitcode() const noexcept { return exitcode_; }
  // The signal that ended the worker, 0 when it exited.
  int signal() const noexcept { return exitcode_ < 0 ? -exitcode_ : 0; }
  // The position of the task in its call's input, from 0.
  std::uint64_t task_index() const noexcept { return task_index_; }

 private:
  pid_t pid_;
  int exitcode_;
  std::uint64_t task_index_;
};

// An exception that left a task in another process. When its type, or the nearest base of it, is a standard exception,
// the object thrown is of that standard type too, with the original message: catch either.
class RemoteError : public Error {
 public:
  // The task_index() of an exception that left the pool's initializer.
  static constexpr std::uint64_t kInitializer = ~std::uint64_t{0};

  RemoteError(std::string type_name, std::string message, pid_t pid, std::uint64_t task_index);

  // "type: message (task 7, worker 1234)"
  const char* what() const noexcept override { return what_.c_str(); }
  // The dynamic type of the exception as the program wrote it, for example "std::out_of_range".
  const std::string& type_name() const noexcept { return type_name_; }
  // The exception's own text, followed by those of its nested causes.
  const std::string& message() const noexcept { return message_; }
  pid_t pid() const noexcept { return pid_; }
  // The position of the task in its call's input, from 0.
  std::uint64_t task_index() const noexcept { return task_index_; }

 private:
  std::string type_name_, message_;
  pid_t pid_;
  std::uint64_t task_index_;
  std::string what_;
};

}  // namespace brood
