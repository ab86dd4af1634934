// Callables of libraries, which the other process opens when it needs them, and of rebuilt libraries.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "wire/elf_image.hpp"
#include "wire/function/library.hpp"
#include "wire/function/other_process.hpp"

extern "C" {
void __lsan_disable() __attribute__((weak));  // there under a sanitizer
void __lsan_enable() __attribute__((weak));
}

namespace brood::wire::testing {
namespace {

namespace fs = std::filesystem;

struct NoLeaks {
  NoLeaks() {
    if (__lsan_disable != nullptr) __lsan_disable();
  }
  NoLeaks(const NoLeaks&) = delete;
  NoLeaks& operator=(const NoLeaks&) = delete;
  ~NoLeaks() {
    if (__lsan_enable != nullptr) __lsan_enable();
  }
};

class FunctionLibrary : public ::testing::Test {
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
    // The library has a copy of brood of its own, which keeps what it knows of the loader to the end of the process.
    // Once the library is closed nothing points there any more.
    const NoLeaks kept_for_good;
    std::string text;
    symbol<decltype(define_in_library)>("define_in_library")(which, text);
    return text;
  }

  OtherProcess other;
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

TEST_F(FunctionLibrary, ARebuiltLibraryThatIsOpenIsRefused) {
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
