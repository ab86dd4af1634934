// What a process that inherits nothing is told first, and by what it knows who tells it.
//
// The two are copies of one program, which is checked where code is named: the aggregates travel as they are.
#pragma once

#include <brood/archive.hpp>
#include <brood/start_method.hpp>

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "os/fd.hpp"
#include "wire/module.hpp"

namespace brood::proc {

// The variable that says that the program was begun by brood, and the descriptors it then has. Its value is the number
// of the socket and the caller's pid.
inline constexpr const char* kBegunVariable = "BROOD_BEGUN";
inline constexpr const char* kMarkFormat = "%llu:%d";
inline constexpr int kSocketFd = 3;
inline constexpr int kCallerFd = 4;

// The process at the other end of a new one's line.
struct Caller {
  os::Fd socket;
  os::Fd pidfd;
};

// Instead of the number of an exit record.
inline constexpr std::uint32_t kNoRecord = UINT32_MAX;

enum class Kind : std::uint8_t { process, pool_template, fork_server };

// At the head of every first letter.
struct Introduction {
  Kind kind = Kind::process;
  StartMethod default_method = StartMethod::fork;            // the caller's
  std::optional<std::vector<std::string>> environment = {};  // nothing: what the process has is right
};

// Then for Kind::process; what the body consists of follows. Descriptors: exit records, then the lifeline if it has
// one, then those of the body.
struct ProcessIntroduction {
  std::string name = {};
  std::string identity = {};
  bool daemon = false;
  bool has_lifeline = false;
  pid_t parent_pid = 0;
  std::string parent_name = {};
  bool parent_daemon = false;
  std::uint32_t record = 0;
  wire::CodeAddress image = {};
  std::uint64_t signature = 0;
};

// For Kind::pool_template. Descriptors: those of the context.
struct TemplateIntroduction {
  wire::CodeAddress child_main = {};
  std::string context = {};
};

// What it answers; then both close the line, unless it is a template's or a server's. A child of the fork server, whose
// caller does not know it yet, sends its pidfd along. When there is no child, the server answers in its place.
struct Answer {
  bool ready = false;
  pid_t pid = 0;
  int error = 0;  // errno: the fork server could not fork
  std::string why_not = {};
};

}  // namespace brood::proc
