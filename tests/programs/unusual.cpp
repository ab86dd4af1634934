// Programs whose main() does not begin as it should, or that start processes at odd moments.
//
// $PROGRAM_MAIN: which of the functions at the end. $PROGRAM_STATIC: a start method by which a static constructor
// starts a process.
#include <brood/pool.hpp>
#include <brood/process.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "report.hpp"

namespace {

using brood::StartMethod;
using programs::expect;
using programs::report;

const std::map<std::string, StartMethod> kMethods{
    {"fork", StartMethod::fork}, {"forkserver", StartMethod::forkserver}, {"spawn", StartMethod::spawn}};

// The text of the ProcessError that `action` throws; empty when it throws none.
std::string refusal(const std::function<void()>& action) {
  try {
    action();
    return {};
  } catch (const brood::ProcessError& error) {
    return error.what();
  }
}

void expect_words(const std::string& text, const std::string& words, const std::string& what) {
  expect(text.find(words) != std::string::npos, what + ": \"" + text + "\"");
}

std::optional<int> exit_code_by(StartMethod method) {
  brood::Process process(
      brood::ProcessOptions{.start_method = method},
      [](int code, const std::string& word) { std::exit(word == "word" ? code : 1); }, 42, "word");
  process.start();
  process.join();
  return process.exitcode();
}

void expect_pool_works(StartMethod method) {
  brood::Pool pool(brood::PoolOptions{.processes = 2, .start_method = method});
  expect(pool.map([](int x) { return x + 1; }, std::vector{1, 2}) == std::vector{2, 3}, "a pool's map");
}

void expect_all_work() {
  for (const auto& [name, method] : kMethods) {
    expect(exit_code_by(method) == 42, name + ": a process");
    expect_pool_works(method);
  }
}

struct StartedByStatic {
  StartedByStatic() {
    const char* const name = std::getenv("PROGRAM_STATIC");
    if (name == nullptr) return;
    report("static");
    std::string words;
    const StartMethod method = kMethods.at(name);
    words = refusal([&] { expect(exit_code_by(method) == 42, "a process before main()"); });
    if (method == StartMethod::fork) {
      expect(words.empty(), words);
    } else {
      expect_words(words, "brood::init", "a process before main()");
    }
  }
} const started_by_static;

// --- the beginnings of main() ---------------------------------------------------------------------------------------

void as_it_should_be(int argc, char** argv) {
  brood::init(argc, argv);
  report("main");
  expect_all_work();
}

void without_init(int, char**) {
  report("main");
  for (const StartMethod method : {StartMethod::forkserver, StartMethod::spawn}) {
    brood::Process process(brood::ProcessOptions{.start_method = method}, [] {});
    for (int i = 0; i < 2; ++i) expect_words(refusal([&] { process.start(); }), "brood::init", "a process");
    expect(!process.exitcode() && process.pid() == 0, "a process that was not started");
    expect_words(refusal([&] { expect_pool_works(method); }), "brood::init", "a pool");
  }
  expect(brood::active_children().empty(), "children");
  expect(exit_code_by(StartMethod::fork) == 42, "a process by fork");
  expect_pool_works(StartMethod::fork);
}

void init_twice(int argc, char** argv) {
  brood::init(argc, argv);
  brood::init(argc, argv);
  report("main");
  expect_all_work();
}

void init_without_arguments(int, char**) {
  brood::init(0, nullptr);
  report("main");
  expect_all_work();
}

// Every child that begins the program afresh does again what comes before.
void init_late(int argc, char** argv) {
  report("early");
  expect(exit_code_by(StartMethod::fork) == 42, "a process before init()");
  brood::init(argc, argv);
  report("main");
  expect_all_work();
}

// Only the first process calls it: the children run main(), but cannot start others.
void init_in_the_first_process_only(int argc, char** argv) {
  const bool is_first = ::setenv("PROGRAM_SEEN", "1", 0) == 0 && std::getenv("PROGRAM_FIRST") != nullptr;
  ::unsetenv("PROGRAM_FIRST");
  if (is_first) brood::init(argc, argv);
  report(is_first ? "main" : "main again");
  for (const StartMethod method : {StartMethod::forkserver, StartMethod::spawn}) {
    const std::string words = refusal([&] { exit_code_by(method); });
    expect_words(words, "brood::init", "a process");
    if (is_first) expect_words(words, "status 7", "a process");
  }
  if (!is_first) std::exit(7);
}

// A child that ends, or dies, on the way to init().
void end_before_init(int argc, char** argv) {
  const char* const how = std::getenv("PROGRAM_END");
  if (how != nullptr) {
    report("early");
    if (*how == 'e') std::exit(7);
    std::abort();
  }
  brood::init(argc, argv);
  report("main");
  for (const char* const end : {"exit", "abort"}) {
    ::setenv("PROGRAM_END", end, 1);
    for (const StartMethod method : {StartMethod::forkserver, StartMethod::spawn}) {
      const std::string words = refusal([&] { exit_code_by(method); });
      expect_words(words, *end == 'e' ? "status 7" : "signal 6", "a process");
      expect_words(words, "before", "a process");
      expect_words(refusal([&] { expect_pool_works(method); }), "before", "a pool");
    }
  }
  expect(brood::active_children().empty(), "children");
  ::unsetenv("PROGRAM_END");
  expect_all_work();
}

void threads_before_init(int argc, char** argv) {
  std::atomic<bool> stop = false;
  std::thread thread([&] {
    while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  brood::init(argc, argv);
  report("main");
  for (int i = 0; i < 3; ++i) expect_all_work();
  stop = true;
  thread.join();
}

// The starts of a thread end somewhere, and so does the program.
void start_while_main_returns(int argc, char** argv) {
  brood::init(argc, argv);
  report("main");
  static std::atomic<int> started = 0;
  for (const auto& [name, method] : kMethods) {
    std::thread([method = method] {
      try {
        for (;;) {
          brood::Process process(brood::ProcessOptions{.start_method = method}, [] {});
          process.start();
          ++started;
          process.join();
        }
      } catch (const std::exception&) {  // some part of the program has ended already
      }
    }).detach();
  }
  while (started < 6) std::this_thread::yield();
}

// Processes that outlive the program, started by objects that end after main().
void start_after_main(int argc, char** argv) {
  brood::init(argc, argv);
  report("main");
  struct AtTheEnd {
    ~AtTheEnd() {
      expect_all_work();
      report(programs::failed ? "failed at the end" : "ok at the end");
    }
  };
  static const AtTheEnd at_the_end;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)(int, char**)> all{
      {"as_it_should_be", as_it_should_be},
      {"without_init", without_init},
      {"init_twice", init_twice},
      {"init_without_arguments", init_without_arguments},
      {"init_late", init_late},
      {"init_in_the_first_process_only", init_in_the_first_process_only},
      {"end_before_init", end_before_init},
      {"threads_before_init", threads_before_init},
      {"start_while_main_returns", start_while_main_returns},
      {"start_after_main", start_after_main}};
  try {
    all.at(std::getenv("PROGRAM_MAIN"))(argc, argv);
  } catch (const std::exception& error) {
    expect(false, error.what());
  }
  return programs::verdict();
}
