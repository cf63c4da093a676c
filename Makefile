# sysupdate-image. `make help` lists the targets.

MODULE  := github.com/sysupdate-image/sysupdate-image
VERSION ?= 0.1.0

# Where `make install` puts things, below DESTDIR. systemd's and dracut's own
# defaults; a distribution overrides what it does differently.
DESTDIR                     ?=
PREFIX                      ?= /usr
BINDIR                      ?= $(PREFIX)/bin
LIBEXECDIR                  ?= $(PREFIX)/lib/sysupdate-image
SYSTEMDSYSTEMUNITDIR        ?= $(PREFIX)/lib/systemd/system
SYSTEMDSYSTEMGENERATORDIR   ?= $(PREFIX)/lib/systemd/system-generators
CATALOGDIR                  ?= $(PREFIX)/lib/systemd/catalog
DRACUTMODULESDIR            ?= $(PREFIX)/lib/dracut/modules.d
DRACUTCONFDIR               ?= $(PREFIX)/lib/dracut/dracut.conf.d
INITCPIODIR                 ?= $(PREFIX)/lib/initcpio
INITRAMFSTOOLSDIR           ?= $(PREFIX)/share/initramfs-tools
KERNELINSTALLDIR            ?= $(PREFIX)/lib/kernel/install.d
SYSTEMDSYSTEMPRESETDIR      ?= $(PREFIX)/lib/systemd/system-preset
ALPMHOOKSDIR                ?= $(PREFIX)/share/libalpm/hooks
MKINITCPIOCONFDIR           ?= /etc/mkinitcpio.conf.d
MKINITCPIOPRESETDIR         ?= /etc/mkinitcpio.d
DPKGCONFDIR                 ?= /etc/dpkg/dpkg.cfg.d
DNFACTIONSDIR               ?= /etc/dnf/libdnf5-plugins/actions.d
DATADIR                     ?= $(PREFIX)/share/sysupdate-image
DOCDIR                      ?= $(PREFIX)/share/doc/sysupdate-image
BASHCOMPLETIONDIR           ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPLETIONDIR            ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPLETIONDIR           ?= $(PREFIX)/share/fish/vendor_completions.d
MANDIR                      ?= $(PREFIX)/share/man

# The same commit gives the same bytes wherever it is built: no paths, no
# version control stamp, no build id, no C.
export CGO_ENABLED := 0
# packaging/vendor-tarball has all modules in vendor. Exported, so that nothing compiles the
# same packages with other flags once more.
export GOFLAGS := -trimpath -buildvcs=false -mod=$(if $(wildcard vendor/modules.txt),vendor,readonly)
LDFLAGS  := -s -w -buildid= -X $(MODULE)/internal/format/version.Version=$(VERSION)
# What go.podman.io/image leaves out: C libraries, and stores that no machine updates from.
TAGS     := containers_image_openpgp,exclude_graphdriver_btrfs,exclude_graphdriver_devicemapper,containers_image_docker_daemon_stub,containers_image_storage_stub
GOBUILD  := go build $(GOFLAGS) -tags $(TAGS) -ldflags '$(LDFLAGS)'
GOTEST   := go test $(GOFLAGS) -tags $(TAGS)
QUIET    := go run $(GOFLAGS) ./test/quiet

# Where the programs are built.
OUT      ?= bin
# The one that prints its manual page and completions: another than what is installed, if that
# is for another architecture.
NATIVE   ?= $(OUT)/sysupdate-image
PROGRAMS := sysupdate-image prepare-root init finalize health sysupdate-image-generator

.PHONY: all $(PROGRAMS) install install-guards install-mkinitcpio vendor-tarball dist deb rpm arch check test fuzz lint oracles trees ahead machines machines-long powercut powercut-mutants demo tutorial bench clean setup help

all: $(PROGRAMS)  ## build the programs into bin/

# The small programs have the standard library without inlining, which takes a tenth
# off them as they are in an initramfs, and some milliseconds of a merge of /etc.
SMALL    := prepare-root init finalize health sysupdate-image-generator
$(SMALL): GOBUILD += -gcflags=all=-l -gcflags=$(MODULE)/...=

$(PROGRAMS):
	$(GOBUILD) -o $(OUT)/$@ ./cmd/$@

install: all  ## install below DESTDIR
	install -Dm755 $(OUT)/sysupdate-image -t $(DESTDIR)$(BINDIR)
	install -Dm755 $(OUT)/prepare-root $(OUT)/init $(OUT)/finalize $(OUT)/health -t $(DESTDIR)$(LIBEXECDIR)
	install -Dm755 $(OUT)/sysupdate-image-generator -t $(DESTDIR)$(SYSTEMDSYSTEMGENERATORDIR)
	install -Dm644 prepare-root/*.service finalize/*.service generators/*.service health/*.service -t $(DESTDIR)$(SYSTEMDSYSTEMUNITDIR)
	install -Dm644 finalize/sysupdate-image.catalog -t $(DESTDIR)$(CATALOGDIR)
	install -Dm755 dracut/50sysupdate-image/module-setup.sh -t $(DESTDIR)$(DRACUTMODULESDIR)/50sysupdate-image
	install -Dm644 dracut/sysupdate-image.conf $(DESTDIR)$(DRACUTCONFDIR)/50-sysupdate-image.conf
	install -Dm644 mkinitcpio/install/sysupdate-image -t $(DESTDIR)$(INITCPIODIR)/install
	install -Dm644 mkinitcpio/hooks/sysupdate-image -t $(DESTDIR)$(INITCPIODIR)/hooks
	install -Dm755 initramfs-tools/hooks/sysupdate-image -t $(DESTDIR)$(INITRAMFSTOOLSDIR)/hooks
	install -Dm755 initramfs-tools/scripts/local-top/sysupdate-image -t $(DESTDIR)$(INITRAMFSTOOLSDIR)/scripts/local-top
	install -Dm755 initramfs-tools/scripts/local-bottom/sysupdate-image -t $(DESTDIR)$(INITRAMFSTOOLSDIR)/scripts/local-bottom
	install -Dm644 initramfs-tools/gpt-auto-root.rules -t $(DESTDIR)$(LIBEXECDIR)
	install -Dm755 packaging/guard/05-sysupdate-image.install -t $(DESTDIR)$(KERNELINSTALLDIR)
	install -Dm644 packaging/90-sysupdate-image.preset -t $(DESTDIR)$(SYSTEMDSYSTEMPRESETDIR)
	install -Dm644 docs/schema/*.schema.json -t $(DESTDIR)$(DATADIR)/schema
	install -Dm644 README.md NEWS.md LICENSE $(wildcard third-party-licenses.txt) -t $(DESTDIR)$(DOCDIR)
	install -Dm644 mkinitcpio/mkinitcpio.conf -t $(DESTDIR)$(DOCDIR)
	install -Dm644 examples/system.conf.d/*.conf -t $(DESTDIR)$(DOCDIR)/examples/system.conf.d
	rm -rf $(DESTDIR)$(DOCDIR)/examples/images && cp -R images $(DESTDIR)$(DOCDIR)/examples
	chmod -R u=rwX,go=rX $(DESTDIR)$(DOCDIR)/examples/images
	install -Dm644 docs/tutorial.md docs/operating.md docs/bootc.md docs/errors.md docs/initramfs.md docs/lint.md docs/security.md docs/sealed-images.md docs/words.md -t $(DESTDIR)$(DOCDIR)/docs
	install -d $(DESTDIR)$(BASHCOMPLETIONDIR) $(DESTDIR)$(ZSHCOMPLETIONDIR) $(DESTDIR)$(FISHCOMPLETIONDIR)
	install -Dm644 docs/man/*.5 -t $(DESTDIR)$(MANDIR)/man5
	install -Dm644 docs/man/*.7 -t $(DESTDIR)$(MANDIR)/man7
	ln -sf sysupdate-image-contract.7 $(DESTDIR)$(MANDIR)/man7/sysupdate-image-image.7
	install -Dm644 docs/man/*.8 -t $(DESTDIR)$(MANDIR)/man8
	$(NATIVE) manual > $(DESTDIR)$(MANDIR)/man8/sysupdate-image.8
	$(NATIVE) completion bash > $(DESTDIR)$(BASHCOMPLETIONDIR)/sysupdate-image
	$(NATIVE) completion zsh > $(DESTDIR)$(ZSHCOMPLETIONDIR)/_sysupdate-image
	$(NATIVE) completion fish > $(DESTDIR)$(FISHCOMPLETIONDIR)/sysupdate-image.fish

# What keeps package tools from changing a system that was booted from an image: for
# packages, since a file of a tool that is not there does no harm.
install-guards:
	install -Dm755 packaging/guard/package-guard -t $(DESTDIR)$(LIBEXECDIR)
	install -Dm644 packaging/guard/dpkg.cfg $(DESTDIR)$(DPKGCONFDIR)/sysupdate-image
	install -Dm644 packaging/guard/dnf.actions $(DESTDIR)$(DNFACTIONSDIR)/sysupdate-image.actions
	install -Dm644 packaging/guard/sysupdate-image.hook $(DESTDIR)$(ALPMHOOKSDIR)/00-sysupdate-image.hook

# What a package can set for mkinitcpio below /etc.
install-mkinitcpio:
	install -Dm644 mkinitcpio/drop-in.conf $(DESTDIR)$(MKINITCPIOCONFDIR)/sysupdate-image.conf
	install -Dm644 mkinitcpio/sysupdate-image.preset -t $(DESTDIR)$(MKINITCPIOPRESETDIR)

vendor-tarball:  ## write an archive with all modules, to build packages from without a network
	packaging/vendor-tarball .

dist:  ## write what a release consists of into dist/: sources, programs, SBOMs, licenses, checksums
	packaging/dist dist

deb rpm arch:  ## build the packages of a distribution
	packaging/build-$@ .

setup:  ## install what building and testing need (Debian, as root)
	hack/setup

# Each part runs, whatever the others find, and no result of a test is one of before.
check: export FUZZTIME ?= 2s
check: export TESTFLAGS ?= -count=1 -short=false
check:  ## everything that CI runs
	hack/check lint oracles test fuzz trees machines

lint:  ## gofmt, go vet, staticcheck, deadcode, shellcheck, govulncheck, unit files
	hack/lint

# lint runs vet. What takes longest begins first, and more at once than there are processors,
# since some wait for a clock. Collecting garbage less often saves a fifth.
test: export GOGC ?= 800
test:  ## tests that need no virtual machine
	hack/in-memory $(QUIET) -- $(GOTEST) -short -vet=off -ldflags=-w -p 3 -parallel 4 $(TESTFLAGS) ./internal/update ./cmd/... ./internal/image/oci ./test/... ./...

fuzz:  ## fuzz every parser, each for FUZZTIME of one processor (20m; 2s in make check)
	hack/in-memory hack/fuzz $(FUZZTIME)

# cfsctl needs a new cargo: where there is none, tests are skipped.
oracles:  ## get mkcomposefs and cfsctl, for the tests that compare with them
	hack/mkcomposefs "$${XDG_CACHE_HOME:-$$HOME/.cache}/sysupdate-image/mkcomposefs"
	hack/cfsctl || echo '--- SKIP: what compares with composefs-rs (there is no cfsctl)'

trees: oracles  ## tests with the files of a real Debian
	SYSUPDATE_VM_TESTS=1 $(QUIET) -tests -- $(GOTEST) -count=1 -timeout 30m ./test/trees/...

# A test builds these, too, unless they are there.
ahead:  ## build what most test machines are made of
	test/images/build base
	test/uml/build

machines:  ## tests that boot virtual machines, two at a time
	SYSUPDATE_VM_TESTS=1 $(QUIET) -tests -- $(GOTEST) -count=1 -parallel 2 -timeout 60m ./test/machines/...

machines-long:  ## those that take longer than CI has time for
	SYSUPDATE_VM_TESTS=long $(GOTEST) -v -count=1 -parallel 2 -timeout 180m -run 'TestTenUpdates|TestModes|TestPowercutBooted|TestRollback|TestUKIFallback|TestUKIAndBack|TestUnstable|TestLoaderCountsAll|TestLoaderChooses|TestInitramfsMatrix|TestCounter|TestDeadline|TestToDiskFirmware|TestToImage|TestBootTimeout|TestKexec|TestVolatile|TestVarPartition|TestEncrypted' ./test/machines/...
	SYSUPDATE_VM_TESTS=long $(GOTEST) -v -count=1 -timeout 60m -run 'TestMutants|TestArchitectures' ./inflate
	hack/fuzz 10m 'inflate FuzzSame'

powercut:  ## check what power cuts leave at 10,000 moments on ext4 and 2,000 on btrfs
	go run $(GOFLAGS) -tags $(TAGS) ./test/powercut -root ext4 -seed 11 -cuts 5200 -recover 100 -cluster 1
	go run $(GOFLAGS) -tags $(TAGS) ./test/powercut -root ext4 -seed 12 -cuts 4800 -recover 100 -neighbour=false
	go run $(GOFLAGS) -tags $(TAGS) ./test/powercut -root btrfs -seed 13 -cuts 2000 -recover 50

powercut-mutants:  ## leave out one sync or order after the other: each has to be noticed
	go run $(GOFLAGS) -tags $(TAGS) ./test/powercut -root ext4,btrfs -mutants

demo:  ## install, update and roll back a real Debian in a virtual machine
	test/demo/run

tutorial:  ## do all that docs/tutorial.md says, in a Debian with nothing but our package
	go run $(GOFLAGS) ./test/tutorial

bench:  ## benchmarks, as ratios against a peer in the same run
	hack/bench

clean:  ## remove what was built
	rm -rf $(OUT)

help:
	@sed -nE 's/^([a-z -]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 20
