// The fork server: a clean, single-threaded process of this program that forks others on request.
//
// Each process that wants one has its own, begun by `spawn` at the first request and again when it has died; it ends
// with its caller. What it forks is not affected by its end.
//
// One request per child, in one packet: {record} and the descriptors {line of the child, working directory, the
// standard streams that are open}. There is no reply: it is the child that answers, on its line, or the server when it
// could not fork one. The server writes a child's exit code into the record when it has reaped it.
//
// Thread safety: any number of threads; requests are made one after the other. Across fork: a child has no server at
// first, and leaves the parent's alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "os/fd.hpp"
#include "process/exit_record.hpp"
#include "process/introduction.hpp"

namespace brood::proc {

// Asks for a new process whose line is `socket`; the result is the pidfd of the server. Null: it was dead already, and
// the next request will have another. `who`: for errors.
std::shared_ptr<const os::Fd> request_fork(int socket, std::uint32_t record, const std::string& who);

// Whether a server would be, or is, in this environment anyway.
bool has_server_environment(const std::vector<std::string>& environment);

// How a process that has ended did so, as its server writes it down in a moment. Nothing: the server has ended, or is
// stopped (it is waited for no longer than a second).
std::optional<int> wait_for_verdict(const ExitRecord& record, const os::Fd& server);

// The server's life. `records`: the caller's file of exit records; `lifeline`: what the server dies by.
[[noreturn]] void serve_forks(Caller caller, os::Fd records, os::Fd lifeline);

}  // namespace brood::proc
