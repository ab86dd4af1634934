// A template process for tests: its children run a lambda.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "process/support.hpp"
#include "process/template_process.hpp"

namespace brood::proc::testing {

using Fds = std::vector<os::Fd>;
using Body = std::function<int(std::uint64_t id, Fds fds)>;

class Template {
 public:
  explicit Template(Body body) : body_(std::move(body)), process(&Template::run, this) {}

  // The next event, waiting for it.
  ChildEvent wait() {
    for (;;) {
      if (auto event = process.next_event()) return std::move(*event);
      os::wait_readable(process.event_fd(), os::Deadline::never());
    }
  }
  ChildEvent wait_for(ChildEvent::Kind kind) {
    for (;;) {
      ChildEvent event = wait();
      if (event.kind == kind) return event;
    }
  }
  // Starts a child and waits until it is there.
  ChildEvent start(std::uint64_t id = 1, std::span<const int> fds = {}) {
    EXPECT_TRUE(process.spawn(id, fds));
    ChildEvent event = wait();
    EXPECT_EQ(event.kind, ChildEvent::Kind::spawned);
    return event;
  }
  // Starts a child and waits for its end.
  os::ExitStatus status_of_child() {
    start();
    return wait_for(ChildEvent::Kind::ended).status;
  }

 private:
  static int run(void* self, std::uint64_t id, Fds fds) {
    return static_cast<Template*>(self)->body_(id, std::move(fds));
  }

  Body body_;

 public:
  TemplateProcess process;
};

inline bool has_ended(pid_t pid) { return ::kill(pid, 0) < 0; }

}  // namespace brood::proc::testing
