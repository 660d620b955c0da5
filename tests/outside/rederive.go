// Derives the root of a Veilmatch log anew from its entries, and compares every tile, with Go's own sumdb packages and none of
// our code. Debian: golang-go, golang-golang-x-mod-dev.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run rederive.go FOLDER 'NAME+hhhhhhhh+KEY'
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// hashes are those of all complete subtrees, in tlog's storage order.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = h[index]
	}
	return found, nil
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: rederive FOLDER VERIFIER-KEY")
	}
	folder := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	opened, err := note.Open(read(folder, "checkpoint"), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		log.Fatal("checkpoint: not of this log")
	}
	// tlog reads a checkpoint of the checksum database, which has another first line.
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + lines[1] + "\n" + lines[2] + "\n"))
	check(err)
	var stored hashes
	for index := int64(0); index < tree.N; {
		bundle := read(folder, entries(index/256, tree.N))
		for length := 0; len(bundle) >= 2; index++ {
			if length = 2 + int(binary.BigEndian.Uint16(bundle)); length > len(bundle) {
				break
			}
			more, err := tlog.StoredHashes(index, bundle[2:length], stored)
			check(err)
			stored, bundle = append(stored, more...), bundle[length:]
		}
		if len(bundle) != 0 || (index%256 != 0 && index != tree.N) {
			log.Fatalf("entries: bundle before leaf %d does not end with an entry", index)
		}
	}
	if root, err := tlog.TreeHash(tree.N, stored); err != nil || root != tree.Hash {
		log.Fatalf("root: the entries give %v, the checkpoint has %v", root, tree.Hash)
	}
	tiles := 0
	for _, tile := range tlog.NewTiles(8, 0, tree.N) {
		if tile.W < 256 && tile.N*256+int64(tile.W) != tree.N>>(8*tile.L) {
			continue // a width of an earlier size
		}
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := tlog.ReadTileData(tile, stored)
		check(err)
		if !bytes.Equal(data, read(folder, path)) {
			log.Fatalf("%s: differs from the entries", path)
		}
		tiles++
	}
	fmt.Printf("%s\n%d leaves, %d tiles\n%v\n", lines[0], tree.N, tiles, tree.Hash)
}

// entries is the path of a bundle in a tree of that size.
func entries(bundle, size int64) string {
	tile := tlog.Tile{H: 8, L: -1, N: bundle, W: 256}
	if rest := size - bundle*256; rest < 256 {
		tile.W = int(rest)
	}
	return strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
}

func read(folder, path string) []byte {
	data, err := os.ReadFile(filepath.Join(folder, path))
	check(err)
	return data
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
