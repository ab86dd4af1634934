// Callables named to another process: a fresh one, with other addresses and without the libraries of this one.
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "wire/elf_image.hpp"
#include "wire/function/definition.hpp"
#include "wire/function/library.hpp"

namespace brood::wire::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kChild = "BROOD_FUNCTION_CHILD";  // its two descriptors

struct Parcel {
  std::string definition, args;
};
struct Reply {
  bool good = false;
  std::string text;
};

template <class T>
void write_to(int fd, const T& value) {
  const std::string bytes = encoded(value);
  const std::uint64_t size = bytes.size();
  EXPECT_EQ(::write(fd, &size, sizeof size), 8);
  EXPECT_EQ(::write(fd, bytes.data(), size), static_cast<ssize_t>(size));
}
template <class T>
T read_from(int fd) {
  std::uint64_t size = 0;
  if (::read(fd, &size, sizeof size) != 8) throw std::runtime_error("the other process has ended");
  std::string bytes(size, '\0');
  for (std::size_t at = 0; at < size;) {
    const ssize_t got = ::read(fd, bytes.data() + at, size - at);
    if (got <= 0) throw std::runtime_error("the other process has ended");
    at += static_cast<std::size_t>(got);
  }
  return decoded<T>(bytes);
}

// The other process: this program, started afresh, with this one test.
TEST(FunctionChild, Answers) {
  const char* const fds = std::getenv(kChild);
  if (fds == nullptr) GTEST_SKIP() << "only in the other process of these tests";
  int in = -1, out = -1;
  ASSERT_EQ(std::sscanf(fds, "%d,%d", &in, &out), 2);
  for (;;) {
    Parcel parcel;
    try {
      parcel = read_from<Parcel>(in);
    } catch (const std::runtime_error&) {
      ::_exit(0);
    }
    Reply reply;
    try {
      reply.text = call_defined(parcel.definition, parcel.args);
      reply.good = true;
    } catch (const std::exception& error) {
      reply.text = error.what();
    }
    write_to(out, reply);
  }
}

class OtherProcess {
 public:
  OtherProcess() {
    int to[2], from[2];
    EXPECT_EQ(::pipe(to), 0);
    EXPECT_EQ(::pipe(from), 0);
    ::fcntl(to[1], F_SETFD, FD_CLOEXEC);
    ::fcntl(from[0], F_SETFD, FD_CLOEXEC);
    const std::string fds = std::to_string(to[0]) + "," + std::to_string(from[1]);
    ::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setenv(kChild, fds.c_str(), 1);
      const int null = ::open("/dev/null", O_WRONLY);
      ::dup2(null, 1);
      ::execl("/proc/self/exe", "other", "--gtest_filter=FunctionChild.Answers", nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
  }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;
  ~OtherProcess() {
    ::close(to_);
    ::close(from_);
    ::waitpid(pid_, nullptr, 0);
  }

  // What the call gives there, or the text of its error.
  Reply call(const std::string& definition, const std::string& args) {
    write_to(to_, Parcel{definition, args});
    return read_from<Reply>(from_);
  }

 private:
  pid_t pid_ = 0;
  int to_ = -1, from_ = -1;
};

class Functions : public ::testing::Test {
 protected:
  // f(args...) over there; has to be what it is here.
  template <class R, class F, class... Args>
  void expect_same(F f, const Args&... args) {
    const Reply reply = other.call(definition_of<Args...>(f), encoded(args...));
    ASSERT_TRUE(reply.good) << reply.text;
    F copy = f;
    EXPECT_EQ(decoded<R>(reply.text), detail::invoke(copy, args...));
  }

  OtherProcess other;
};

int triple(int x) { return 3 * x; }
int triple_quietly(int x) noexcept { return 3 * x; }
static std::string twice(const std::string& text) { return text + text; }
template <class T>
T negative(T x) {
  return -x;
}
int of_many(int a, double b, const std::string& c, std::vector<int> d) {
  return a + static_cast<int>(b) + static_cast<int>(c.size()) + std::accumulate(d.begin(), d.end(), 0);
}

TEST_F(Functions, FunctionPointers) {
  expect_same<int>(&triple, 14);
  expect_same<int>(&triple_quietly, 14);
  expect_same<std::string>(&twice, std::string("ab"));
  expect_same<int>(&negative<int>, 5);
  expect_same<double>(&negative<double>, 2.5);
  expect_same<int>(&of_many, 1, 2.5, std::string("three"), std::vector{4, 5});
}

TEST_F(Functions, FunctionsOfOtherLibraries) {
  expect_same<int>(static_cast<int (*)(int)>(&::toupper), 'a');
  expect_same<long>(&std::labs, -5L);
}

struct Adder {
  int by = 0;
  std::string note;
  int operator()(int x) const { return x + by + static_cast<int>(note.size()); }
};
class Hidden {
 public:
  Hidden() = default;
  explicit Hidden(int by) : by_(by) {}
  int operator()(int x) const { return x - by_; }
  template <class A>
  void serialize(A& archive) {
    archive(by_);
  }

 private:
  int by_ = 0;
};

TEST_F(Functions, Functors) {
  expect_same<int>(Adder{.by = 5, .note = "abc"}, 10);
  expect_same<int>(Hidden(4), 10);
  expect_same<int>(std::plus<int>(), 1, 2);
  expect_same<bool>(std::less<>(), 1, 2);
}

TEST_F(Functions, Lambdas) {
  expect_same<int>([](int x) { return x + 1; }, 1);
  const int a = 5;
  const double b = 0.5;
  expect_same<double>([a, b](int x) { return a * x + b; }, 3);
  const std::array<char, 100> text{'h', 'i'};
  expect_same<std::string>([text](int n) { return std::string(text.data(), static_cast<std::size_t>(n)); }, 2);
  expect_same<std::string>([](auto x) { return std::to_string(x); }, 12L);
}

// Lambdas with one signature, made in one place, some with one body.
TEST_F(Functions, LambdasAreNotMixedUp) {
  const auto first = [](int x) { return x + 1; };
  const auto second = [](int x) { return x + 2; };
  const auto like_first = [](int x) { return x + 1; };
  const int two = 2, three = 3;
  const auto by_two = [two](int x) { return x * two; };
  const auto by_three = [three](int x) { return x * three; };
  for (int x = 0; x < 5; ++x) {
    expect_same<int>(first, x);
    expect_same<int>(second, x);
    expect_same<int>(like_first, x);
    expect_same<int>(by_two, x);
    expect_same<int>(by_three, x);
  }
}

TEST_F(Functions, Bound) {
  expect_same<int>(brood::bind(&of_many, 1, 2.0, "text"), std::vector{1, 2});
  expect_same<int>(brood::bind(brood::bind(&of_many, 1), 2.0), std::string("x"), std::vector{1});
  expect_same<int>(brood::bind([](const std::vector<int>& v, int i) { return v[static_cast<std::size_t>(i)]; },
                               std::vector{7, 8, 9}),
                   1);
  expect_same<int>(brood::bind(Adder{.by = 1, .note = "n"}, 5));
}

struct Base {
  int number = 1;
  virtual ~Base() = default;
  virtual int who() const { return 10 + number; }
  int plain(int x) { return number + x; }
  template <class A>
  void serialize(A& archive) {
    archive(number);
  }
};
// Aligned as Derived is: UBSan of GCC 12 checks the address of a base as if it were that of the whole object.
struct alignas(8) Second {
  int other = 50;
  int from_second() const { return other; }
};
struct Derived : Base, Second {
  int who() const override { return 20 + number; }
  int only_here(int x) const { return x + other; }
  template <class A>
  void serialize(A& archive) {
    archive(number, other);
  }
};

TEST_F(Functions, MemberFunctions) {
  Derived derived;
  derived.number = 7;
  derived.other = 70;
  const auto call = [&]<class... Args>(auto member, int expected, const Args&... args) {
    const Reply reply = other.call(definition_of<Derived, Args...>(member), encoded(derived, args...));
    ASSERT_TRUE(reply.good) << reply.text;
    EXPECT_EQ(decoded<int>(reply.text), expected);
  };
  call(&Base::plain, 12, 5);
  call(&Derived::only_here, 75, 5);
  call(&Base::who, 27);  // virtual: the object decides
  call(&Derived::who, 27);
  call(static_cast<int (Derived::*)() const>(&Second::from_second), 70);  // a base that is not at the object's start
  call(&Base::number, 7);
  call(static_cast<int Derived::*>(&Second::other), 70);
}

TEST_F(Functions, ErrorsOfTheCallPass) {
  const Reply reply =
      other.call(definition_of<int>([](int) -> int { throw std::out_of_range("too far"); }), encoded(1));
  EXPECT_FALSE(reply.good);
  EXPECT_EQ(reply.text, "too far");
}

TEST_F(Functions, WrongArgumentsAreAnError) {
  for (const std::string& args : {std::string(), std::string("ab"), std::string(100, 'x')}) {
    const Reply reply = other.call(definition_of<int>(&triple), args);
    EXPECT_FALSE(reply.good);
  }
}

TEST_F(Functions, AnotherSignatureIsRefused) {
  std::string definition = definition_of<int>(&triple);
  const std::string signature = encoded(detail::RecordOf<int (*)(int), false, int>::record.signature);
  const std::size_t at = definition.find(signature);
  ASSERT_NE(at, std::string::npos);
  definition[at] = static_cast<char>(definition[at] ^ 1);
  const Reply reply = other.call(definition, encoded(1));
  EXPECT_FALSE(reply.good);
  EXPECT_EQ(reply.text, "another signature");
}

// The signature says which callable is called with which arguments.
TEST(FunctionRecords, SignaturesDiffer) {
  using detail::RecordOf;
  const auto lambda = [](int x) { return x; };
  using L = decltype(lambda);
  const std::vector<std::uint64_t> all{RecordOf<int (*)(int), false, int>::signature(),
                                       RecordOf<int (*)(int), true, int>::signature(),
                                       RecordOf<int (*)(int), false, long>::signature(),
                                       RecordOf<long (*)(int), false, int>::signature(),
                                       RecordOf<L, false, int>::signature(),
                                       RecordOf<L, false, unsigned>::signature(),
                                       RecordOf<Adder, false, int>::signature(),
                                       RecordOf<Hidden, false, int>::signature()};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) EXPECT_NE(all[i], all[k]) << i << " and " << k;
  }
}

TEST(FunctionRecords, NoCallableIsNoFunction) {
  int (*const null)(int) = nullptr;
  EXPECT_THROW(definition_of<int>(null), ProcessError);
}

// --- libraries -----------------------------------------------------------------------------------------------------

class FunctionLibrary : public Functions {
 protected:
  FunctionLibrary() {
    std::string folder = (fs::temp_directory_path() / "brood-function-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = fs::canonical(folder);
    path_ = folder_ / "library.so";
  }
  ~FunctionLibrary() override {
    close();
    fs::remove_all(folder_);
  }

  void install(int build) {
    fs::remove(path_);
    fs::copy_file(build == 1 ? BROOD_WIRE_FUNCTIONS_1 : BROOD_WIRE_FUNCTIONS_2, path_);
  }
  void open() {
    library_ = ::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << ::dlerror();
  }
  void close() {
    if (library_ != nullptr) ::dlclose(library_);
    library_ = nullptr;
  }
  template <class F>
  F* symbol(const char* name) {
    return reinterpret_cast<F*>(::dlsym(library_, name));
  }
  std::string definition(LibraryCallable which) {
    std::string text;
    symbol<decltype(define_in_library)>("define_in_library")(which, text);
    return text;
  }

  fs::path folder_, path_;
  void* library_ = nullptr;
};

// The other process has not opened the library; it opens it then.
TEST_F(FunctionLibrary, IsOpenedWhereItIsNeeded) {
  install(1);
  open();
  const auto call = [&](LibraryCallable which, const std::string& args) {
    const Reply reply = other.call(definition(which), args);
    return reply.good ? decoded<int>(reply.text) : (ADD_FAILURE() << reply.text, -1);
  };
  EXPECT_EQ(call(kLambda, encoded(6, 7)), 1042);
  EXPECT_EQ(call(kFunction, encoded(1, 2)), 1003);
  EXPECT_EQ(call(kBound, encoded(2)), 1042);
  EXPECT_EQ(call(kMember, encoded(Figure{.side = 4}, 5)), 1020);
}

// A function of the library, called through a record of the program.
TEST_F(FunctionLibrary, FunctionsFoundByName) {
  install(1);
  open();
  auto* const function = symbol<decltype(library_function)>("library_function");
  const Reply reply = other.call(definition_of<int, int>(function), encoded(1, 2));
  ASSERT_TRUE(reply.good) << reply.text;
  EXPECT_EQ(decoded<int>(reply.text), 1003);
}

// The file was replaced by another build since this process opened it.
TEST_F(FunctionLibrary, ARebuiltFileIsRefused) {
  install(1);
  const std::string mine = identity_of_file(path_);
  open();
  const std::string one = definition(kLambda), two = definition(kBound);
  install(2);
  const std::string theirs = identity_of_file(path_);
  ASSERT_NE(mine, theirs);
  for (const std::string& text : {one, two}) {
    const Reply reply = other.call(text, encoded(1, 2));
    EXPECT_FALSE(reply.good);
    EXPECT_NE(reply.text.find(path_.string()), std::string::npos) << reply.text;
    EXPECT_NE(reply.text.find(mine), std::string::npos) << reply.text;
    EXPECT_NE(reply.text.find(theirs), std::string::npos) << reply.text;
  }
}

TEST_F(FunctionLibrary, DISABLED_ARebuiltLibraryThatIsOpenIsRefused) {
  install(1);
  open();
  const std::string one = definition(kLambda);
  ASSERT_TRUE(other.call(one, encoded(6, 7)).good);  // there build 1 is open for good now
  close();
  install(2);
  open();
  ASSERT_EQ(symbol<decltype(library_build)>("library_build")(), 2);
  const Reply reply = other.call(definition(kLambda), encoded(6, 7));
  EXPECT_FALSE(reply.good) << "a call of the wrong build";
  EXPECT_NE(reply.text.find("another build"), std::string::npos) << reply.text;
}

TEST_F(FunctionLibrary, AFileThatIsGoneIsRefused) {
  install(1);
  open();
  const std::string text = definition(kFunction);
  fs::remove(path_);
  const Reply reply = other.call(text, encoded(1, 2));
  EXPECT_FALSE(reply.good);
  EXPECT_NE(reply.text.find(path_.string()), std::string::npos) << reply.text;
}

}  // namespace
}  // namespace brood::wire::testing
