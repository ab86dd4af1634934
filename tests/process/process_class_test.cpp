// Classes derived from Process.
#include <brood/process.hpp>

#include <memory>
#include <string>
#include <vector>

#include "process/support.hpp"

namespace brood {
namespace {

using namespace proc::testing;

class Writer : public Process {
 public:
  Writer(const Pipe& pipe, std::string text) : pipe_(&pipe), text_(std::move(text)) {}
  Writer(ProcessOptions options, const Pipe& pipe) : Process(std::move(options)), pipe_(&pipe) {}

  void run() override { pipe_->put(text_ + " " + name() + (is_alive() && pid() == ::getpid() ? " alive" : " dead")); }

 private:
  const Pipe* pipe_;
  std::string text_;
};

TEST(ProcessClass, RunsItsOwnFunction) {
  Pipe pipe;
  Writer writer(pipe, "text");
  writer.start();
  writer.join();
  EXPECT_EQ(writer.exitcode(), 0);
  EXPECT_EQ(pipe.rest(), "text " + writer.name() + " alive");
}

TEST(ProcessClass, TakesOptions) {
  Pipe pipe;
  Writer writer(ProcessOptions{.name = "W"}, pipe);
  EXPECT_EQ(writer.name(), "W");
  writer.start();
  writer.join();
  EXPECT_EQ(pipe.rest(), " W alive");
}

TEST(ProcessClass, MovesWithItsMembers) {
  Pipe pipe;
  std::vector<Writer> writers;
  for (int i = 0; i < 5; ++i) writers.emplace_back(pipe, std::to_string(i));
  for (Writer& writer : writers) {
    writer.start();
    writer.join();
  }
  const std::string text = pipe.rest();
  for (const char digit : std::string("01234")) EXPECT_NE(text.find(digit), std::string::npos);
}

TEST(ProcessClass, MovesWhileItRuns) {
  Pipe pipe;
  Writer a(pipe, "a");
  a.start();
  Writer b = std::move(a);
  b.join();
  EXPECT_EQ(b.exitcode(), 0);
}

TEST(ProcessClass, PlainProcessLosesTheFunction) {
  Pipe pipe;
  Process plain = Writer(pipe, "text");
  EXPECT_NE(misuse_of([&] { plain.start(); }).find("nothing to run"), std::string::npos);
  Writer started(pipe, "text");
  started.start();
  plain = std::move(started);  // but it is a good handle of one that was started
  plain.join();
  EXPECT_EQ(plain.exitcode(), 0);
}

class Typed : public ProcessType<Typed> {
 public:
  Typed(const Pipe& pipe, int value) : pipe_(&pipe), value_(value) {}
  explicit Typed(ProcessOptions options) : ProcessType(std::move(options)) {}
  void run() override { pipe_->put_value(value_); }
  template <class A>
  void serialize(A& archive) {
    archive(value_);
  }

 private:
  const Pipe* pipe_ = nullptr;
  int value_ = 0;
};

TEST(ProcessClass, ProcessTypeUnderFork) {
  Pipe pipe;
  Typed typed(pipe, 42);
  typed.start();
  typed.join();
  EXPECT_EQ(pipe.get_value<int>(), 42);
  EXPECT_EQ(Typed(ProcessOptions{.name = "T"}).name(), "T");
}

TEST(ProcessClass, RunMayBeCalledHere) {
  int calls = 0;
  Process process([&] { ++calls; });
  process.run();
  EXPECT_EQ(calls, 1);
}

TEST(ProcessClass, DestroyedThroughTheBase) {
  Pipe pipe;
  {
    std::unique_ptr<Process> process = std::make_unique<Writer>(pipe, "x");
    process->start();
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(pipe.rest().front(), 'x');
}

}  // namespace
}  // namespace brood
