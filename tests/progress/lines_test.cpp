// Bars that are written to files and pipes, and places that cannot be written to.
#include <brood/progress.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "os/syscall.hpp"
#include "os/terminal.hpp"

namespace brood {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class File {
 public:
  File() : file_(std::tmpfile()) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { std::fclose(file_); }

  int fd() const { return ::fileno(file_); }
  std::string text() const {
    std::string text(1 << 20, '\0');
    text.resize(static_cast<std::size_t>(::pread(fd(), text.data(), text.size(), 0)));
    return text;
  }
  Lines lines() const {
    Lines lines;
    std::string rest = text();
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      EXPECT_NE(end, std::string::npos) << "not a whole line: " << rest;
      if (end == std::string::npos) break;
      lines.push_back(rest.substr(0, end));
      rest.erase(0, end + 1);
    }
    return lines;
  }

 private:
  std::FILE* file_;
};

constexpr const char* kPlain = "{desc}{n_fmt}/{total_fmt}";

TEST(Lines, OneForEveryTenth) {
  File file;
  {
    Progress bar({.total = 1000, .bar_format = kPlain, .mininterval = 0s, .fd = file.fd()});
    for (int i = 0; i < 1000; ++i) bar.update();
  }
  EXPECT_EQ(file.lines(), (Lines{"0/1000", "100/1000", "200/1000", "300/1000", "400/1000", "500/1000", "600/1000",
                                 "700/1000", "800/1000", "900/1000", "1000/1000"}));
}

TEST(Lines, FirstAndLastOfAFastLoop) {
  File file;
  {
    Progress bar({.total = 1000, .desc = "fast ", .bar_format = kPlain, .mininterval = 1h, .fd = file.fd()});
    for (int i = 0; i < 1000; ++i) bar.update();
  }
  EXPECT_EQ(file.lines(), (Lines{"fast 0/1000", "fast 1000/1000"}));
}

TEST(Lines, HoldNoControlCodes) {
  File file;
  {
    Progress bar(
        {.total = 10, .desc = "a\rb", .mininterval = 0s, .fd = file.fd(), .colour = "green", .postfix = "\x1b[31mred"});
    for (int i = 0; i < 10; ++i) bar.update();
    bar.write("a line");
    bar.set_postfix("x\ny");
    bar.refresh();
  }
  for (const char c : file.text())
    EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << static_cast<int>(c);
  const Lines lines = file.lines();
  ASSERT_GE(lines.size(), 3u);
  EXPECT_TRUE(lines.front().starts_with("a b:   0%|")) << lines.front();
  EXPECT_TRUE(lines.back().starts_with("a b: 100%|")) << lines.back();
  EXPECT_NE(std::find(lines.begin(), lines.end(), "a line"), lines.end());
}

TEST(Lines, NoneTwice) {
  File file;
  { Progress bar({.bar_format = kPlain, .fd = file.fd()}); }
  EXPECT_EQ(file.lines(), Lines{"0/?"});
}

TEST(Lines, NoneOfAShortBarThatDoesNotStay) {
  File file;
  {
    Progress bar({.total = 10, .leave = false, .bar_format = kPlain, .mininterval = 1s, .fd = file.fd()});
    for (int i = 0; i < 10; ++i) bar.update();
  }
  EXPECT_EQ(file.text(), "");
}

TEST(Lines, NoneWithinTheDelay) {
  File file;
  {
    Progress bar({.total = 10, .bar_format = kPlain, .mininterval = 0s, .fd = file.fd(), .delay = 1h});
    for (int i = 0; i < 10; ++i) bar.update();
  }
  EXPECT_EQ(file.text(), "");
}

TEST(Lines, WithoutATotalTheyHaveNoBar) {
  File file;
  {
    Progress bar({.unit = "file", .fd = file.fd(), .initial = 5});
    bar.update(3);
  }
  const Lines lines = file.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "5file [00:00, ?file/s]");
  EXPECT_TRUE(lines[1].starts_with("8file [00:00, ")) << lines[1];
}

TEST(Lines, StayWholeWithManyThreads) {
  File file;
  const std::string tail(4000, 'x');
  {
    Progress bar({.total = 8 * 25, .bar_format = kPlain, .mininterval = 0s, .fd = file.fd()});
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 25; ++i) {
          bar.write("line " + tail);
          bar.update();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  std::size_t long_lines = 0;
  for (const std::string& line : file.lines()) {
    if (line.size() < 100) continue;
    ++long_lines;
    EXPECT_EQ(line, "line " + tail);
  }
  EXPECT_EQ(long_lines, 200u);
}

TEST(Harmless, NobodyReads) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const auto previous = std::signal(SIGPIPE, SIG_DFL);
  {
    Progress bar({.total = 10, .mininterval = 0s, .fd = ends[1]});
    for (int i = 0; i < 10; ++i) bar.update();
    bar.write("lost");
    EXPECT_EQ(bar.n(), 10u);
  }
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  std::signal(SIGPIPE, previous);
  ::close(ends[1]);
}

TEST(Harmless, AFullDiskOrNoDescriptorAtAll) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  for (const int fd : {full, -1, 9999}) {
    Progress bar({.total = 10, .mininterval = 0s, .fd = fd});
    for (int i = 0; i < 10; ++i) bar.update();
    bar.write("lost");
    bar.close();
    EXPECT_EQ(bar.n(), 10u);
  }
  ::close(full);
}

TEST(Harmless, AFullPipe) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  const std::string filler(4096, '.');
  while (::write(ends[1], filler.data(), filler.size()) > 0) {
  }
  std::string got;
  {
    Progress bar({.total = 10, .bar_format = kPlain, .mininterval = 0s, .fd = ends[1]});
    for (int i = 0; i < 10; ++i) bar.update();
    bar.refresh();
    // The last line and written ones wait for room.
    std::thread reader([&] {
      char buffer[4096];
      while (got.find("10/10\n") == std::string::npos) {
        got.append(buffer, static_cast<std::size_t>(::read(ends[0], buffer, sizeof buffer)));
      }
    });
    bar.write("kept");
    bar.close();
    reader.join();
  }
  EXPECT_NE(got.find("kept\n10/10\n"), std::string::npos);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Harmless, SignalsAndErrorsInEveryWrite) {
  static int calls = 0;
  File file;
  Progress bar({.total = 10, .bar_format = kPlain, .mininterval = 0s, .fd = file.fd()});
  os::fault_injector = [](os::Call call) noexcept { return call == os::Call::write && ++calls % 2 == 1 ? EINTR : 0; };
  bar.update(1);
  os::fault_injector = [](os::Call call) noexcept { return call == os::Call::write ? ENOSPC : 0; };
  bar.update(1);
  os::fault_injector = [](os::Call call) noexcept { return call == os::Call::write && ++calls % 2 == 1 ? EAGAIN : 0; };
  bar.write("waited for");
  os::fault_injector = nullptr;
  bar.update(1);
  EXPECT_EQ(file.lines(), (Lines{"0/10", "1/10", "waited for", "3/10"}));
}

TEST(Options, AreCheckedAndNamed) {
  const auto complaint = [](ProgressOptions options) -> std::string {
    options.fd = -1;
    try {
      Progress bar(std::move(options));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(complaint({}), "");
  EXPECT_NE(complaint({.position = -1}).find("position -1"), std::string::npos);
  EXPECT_NE(complaint({.bar_format = "{nonsense}"}).find("unknown field \"nonsense\""), std::string::npos);
  EXPECT_NE(complaint({.mininterval = -1s}).find("mininterval"), std::string::npos);
  EXPECT_NE(complaint({.ncols = -1}).find("ncols"), std::string::npos);
  EXPECT_NE(complaint({.smoothing = 1.5}).find("smoothing"), std::string::npos);
  EXPECT_NE(complaint({.unit_divisor = 0}).find("unit_divisor"), std::string::npos);
  EXPECT_NE(complaint({.colour = "grue"}).find("colour"), std::string::npos);
  EXPECT_NE(complaint({.fill = "#"}).find("fill"), std::string::npos);
}

}  // namespace
}  // namespace brood
