package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// cloudAPI sends signed requests about one account.
type cloudAPI struct {
	url, account, key string
	private           ed25519.PrivateKey
	client            *http.Client
}

// refused is an answer that is no success.
type refused struct {
	status     int
	what, said string
}

func (r *refused) Error() string {
	return fmt.Sprintf("%s: %d %s", r.what, r.status, r.said)
}

func newCloudAPI() (*cloudAPI, error) {
	text, err := os.ReadFile(os.Getenv("TRITON_KEY_MATERIAL"))
	if err != nil {
		return nil, err
	}
	parsed, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		return nil, err
	}
	private, is := parsed.(*ed25519.PrivateKey)
	if !is {
		return nil, fmt.Errorf("TRITON_KEY_MATERIAL is a %T, not an Ed25519 key", parsed)
	}
	// As many connections as there are workers, all kept.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &cloudAPI{
		url:     strings.TrimSuffix(os.Getenv("TRITON_URL"), "/"),
		account: os.Getenv("TRITON_ACCOUNT"),
		key:     strings.TrimPrefix(os.Getenv("TRITON_KEY_ID"), "MD5:"),
		private: *private,
		client:  &http.Client{Transport: transport, Timeout: time.Minute},
	}, nil
}

// call asks for a path below the account, with and for JSON.
func (c *cloudAPI) call(ctx context.Context, method, path string, body, answer any) error {
	target := "/" + c.account + path
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+target, content)
	if err != nil {
		return err
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	signed := fmt.Sprintf("(request-target): %s %s\ndate: %s", strings.ToLower(method), target, date)
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(c.private, []byte(signed)))
	request.Header.Set("Authorization", fmt.Sprintf(
		`Signature keyId="/%s/keys/%s",algorithm="ed25519-sha512",headers="(request-target) date",signature="%s"`,
		c.account, c.key, signature,
	))
	request.Header.Set("Date", date)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Accept-Version", "~9")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return &refused{status: response.StatusCode, what: method + " " + target, said: string(text)}
	}
	if answer == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, answer)
}
