// The backend of this machine: workers are forked from a template process.
//
// All channels are in one memory file, which the workers get from the template. A channel whose worker has ended serves
// the next one: what the dead process had forked has no mapping of it, so nobody is left who could write there.
//
// Thread safety: as Backend says. Across fork: the copy in a child must only be destroyed, which does nothing there.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "os/event.hpp"
#include "pool/backend.hpp"
#include "process/template_process.hpp"

namespace brood::engine {

class LocalBackend final : public Backend {
 public:
  // `page_fd` and `doorbell` are the pool's, and the workers' too. Begins the first template process: throws
  // std::system_error, or ProcessError by a method other than fork, when that cannot be done.
  LocalBackend(const channel::RingSizes& sizes, StartMethod method, int page_fd, int doorbell_fd);
  ~LocalBackend() override;

  std::unique_ptr<channel::DispatcherEnd> start(unsigned slot, std::uint64_t epoch) override;
  std::optional<WorkerEvent> next_event() override;
  int event_fd() const noexcept override;
  void kill(unsigned slot) noexcept override;
  bool finish(os::Deadline deadline) override;
  void terminate() noexcept override;

 private:
  struct Child {
    std::uint64_t id = 0;
    std::uint64_t epoch = 0;
    unsigned channel = 0;
    pid_t pid = 0;
    os::Fd pidfd;
    bool kill_wanted = false;  // before its pid was known
  };

  static int child_main(void* context, std::uint64_t id, std::vector<os::Fd> fds);
  void make_template();
  void lose_template();
  std::optional<WorkerEvent> translate(proc::ChildEvent event) noexcept;
  void kill(Child& child) noexcept;
  unsigned obtain_channel();

  const channel::RingSizes sizes_;
  const StartMethod method_;
  const int page_fd_, doorbell_fd_;
  const std::uint64_t generation_;
  os::Fd memory_;                                       // of all channels
  std::size_t capacity_;                                // channels that it has room for
  std::vector<std::shared_ptr<os::Mapping>> mappings_;  // of the channels that were ever used, by number
  std::vector<unsigned> free_;                          // channels whose workers provably are no more
  std::unique_ptr<proc::TemplateProcess> template_;
  std::atomic<proc::TemplateProcess*> living_{nullptr};  // what terminate() may use from a signal handler
  std::atomic<int> terminators_{0};                      // threads that use it now
  std::atomic<bool> terminated_{false};
  std::map<unsigned, Child> children_;  // by slot
  std::vector<WorkerEvent> events_;     // in no order: one for each worker of a template that is lost
};

}  // namespace brood::engine
