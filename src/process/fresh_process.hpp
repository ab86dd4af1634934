// A process that inherits nothing but what it is told: begun by `spawn`, or forked from the fork server.
//
// Thread safety: any number of threads may begin processes at the same time. Across fork: the result is the parent's.
#pragma once

#include <brood/archive.hpp>
#include <brood/start_method.hpp>

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "os/fd.hpp"
#include "process/exit_record.hpp"
#include "process/introduction.hpp"

namespace brood::proc {

// What brood::init() noted.
struct ProgramStart {
  std::vector<std::string> arguments;
  std::vector<int> ignored_signals;
};
void note_program_start(ProgramStart start);

// Throws ProcessError when this program cannot begin processes other than by fork: it has not called init(), or it runs
// with elevated rights, under which the child could not trust what it is told. `who`: the object that wants it.
void check_can_begin(StartMethod method, const std::string& who);

struct BeginOptions {
  StartMethod method = StartMethod::spawn;
  std::string who = {};          // for errors: "brood::Process \"x\""
  bool die_with_thread = false;  // spawn: SIGKILL when the calling thread ends
  ExitRecord* record = nullptr;  // forkserver: where the server writes the exit code
  bool silent = false;           // spawn: stdin and stdout are /dev/null
};

struct FreshProcess {
  pid_t pid = 0;
  os::Fd pidfd;
  os::Fd socket;                         // the line to it
  std::shared_ptr<const os::Fd> reaper;  // the pidfd of the server whose child it is; null: ours
};

// The head of the letter to a new process; what its kind asks for follows.
void introduce(wire::Writer& writer, Kind kind, StartMethod method);

// Begins one, sends the letter and waits until it has taken it over. Throws ProcessError when it says why it cannot, or
// ends before; std::system_error for what it takes to begin it. No process is left then.
FreshProcess begin_process(const BeginOptions& options, const wire::Writer& letter, std::span<const int> fds);

// One of Kind::process waits, when it has taken the letter over, until it may go. One that is dead goes nowhere.
void let_go(const FreshProcess& process);
// Kills one that was begun, and reaps it if it is ours.
void give_up(const os::Fd& pidfd) noexcept;

}  // namespace brood::proc
