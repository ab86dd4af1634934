// A global object that starts a process, in a program that does not include <iostream>.
#include <brood/process.hpp>

namespace {

struct Starter {
  Starter() { process.start(); }
  brood::Process process{[] {}};
} starter;

}  // namespace

int main() {
  starter.process.join();
  return starter.process.exitcode().value();
}
